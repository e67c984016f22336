"""`forebay dlq ls | show --topic`: dead letters on a topic."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from itertools import chain, islice
from typing import TYPE_CHECKING

from forebay.cli import dlq_topic_records as records
from forebay.cli.errors import CommandError, Exit
from forebay.cli.output import iso, json_line, line_of, table
from schemas.dead_letters import DeadLetterFilter

if TYPE_CHECKING:
    from forebay.settings import Settings
    from pipelines.dead_topics.letter import Letter
    from pipelines.dead_topics.topic import DeadTopic, Part
    from pipelines.kafka.options import Kafka

SHOWN_ERROR = 100


def ls(
    settings: "Settings", bootstrap: str | None, topic: str, wanted: DeadLetterFilter, limit: int, json: bool
) -> None:
    """The oldest first, partition by partition."""
    with opened(settings, bootstrap, topic) as (dead, _):
        found = islice(matching(dead, dead.look(), wanted), limit)
        if json:
            for letter in found:
                json_line(records.letter(letter))
            return
        table(("id", "model", "version", "reason", "attempts", "replays", "failed", "error"), map(_row, found))


def groups(
    settings: "Settings", bootstrap: str | None, topic: str, wanted: DeadLetterFilter, limit: int, json: bool
) -> None:
    """The most frequent first."""
    counts: Counter[tuple[str, str, str, str]] = Counter()
    with opened(settings, bootstrap, topic) as (dead, _):
        for letter in matching(dead, dead.look(), wanted):
            counts[_kind(letter)] += 1
    columns = ("count", "model", "version", "reason", "error")
    shown = counts.most_common(limit)
    if json:
        for kind, count in shown:
            json_line(dict(zip(columns, (count, *kind), strict=True)))
    else:
        table(columns, [(count, *kind[:-1], kind[-1][:SHOWN_ERROR]) for kind, count in shown])


def show(settings: "Settings", bootstrap: str | None, topic: str, id: str, json: bool) -> None:
    """One, whole; also one that is settled, while the topic has it."""
    with opened(settings, bootstrap, topic) as (dead, _):
        from pipelines.dead_topics.letter import read

        partition, offset = place_of(id)
        parts = dead.look({partition})
        message = dead.record(partition, offset) if parts else None
        if message is None:
            raise CommandError(f"{id}: no such record in {topic}", Exit.NOT_FOUND)
        whole = records.whole_letter(read(message), settled=offset in parts[0].settled)
    if json:
        json_line(whole)
        return
    headers = whole.pop("headers")
    for name, value in whole.items():
        print(f"{name}: {line_of(value)}")
    for name, value in headers:
        print(f"header {line_of(name)}: {line_of(value)}")


def only_in_store(given: Mapping[str, bool]) -> None:
    """Raises CommandError for the first option that was given and means nothing on a topic."""
    for option, used in given.items():
        if used:
            raise CommandError(f"{option}: not with --topic", Exit.USAGE)


@contextmanager
def opened(settings: "Settings", bootstrap: str | None, topic: str) -> "Iterator[tuple[DeadTopic, Kafka]]":
    from forebay.cli.stream import cluster

    if not topic.strip():
        raise CommandError("--topic: expected the name of a topic", Exit.USAGE)
    kafka = cluster(settings, bootstrap)
    from pipelines.clock import SystemClock
    from pipelines.dead_topics.topic import DeadTopic
    from pipelines.kafka.options import Kafka

    # What is wrong is told in one line of ours; librdkafka would tell it too, each time it tries.
    kafka = Kafka(kafka.bootstrap, {"log_level": 0, **kafka.options})
    with ExitStack() as stack:
        dead = stack.enter_context(closing(DeadTopic.open(kafka, topic, SystemClock())))
        yield dead, kafka


def place_of(id: str) -> tuple[int, int]:
    from pipelines.dead_topics.letter import id_of

    place = id_of(id)
    if place is None:
        raise CommandError(
            f"{id!r}: expected partition:offset, such as 0:17, as `dlq ls --topic` prints it", Exit.USAGE
        )
    return place


def matching(dead: "DeadTopic", parts: "Iterable[Part]", wanted: DeadLetterFilter) -> "Iterator[Letter]":
    return (letter for letter in chain.from_iterable(map(dead.letters, parts)) if letter.matches(wanted))


def _row(letter: "Letter") -> tuple[object, ...]:
    found = letter.burial
    if found is None:
        return (letter.id, "", "", "foreign", "", letter.replays, iso(letter.written_at), records.FOREIGN)
    return (
        letter.id, found.model, found.version, found.reason, found.attempts, letter.replays, iso(found.failed_at),
        found.error[:SHOWN_ERROR],
    )  # fmt: skip


def _kind(letter: "Letter") -> tuple[str, str, str, str]:
    found = letter.burial
    return (
        ("", "", "foreign", records.FOREIGN)
        if found is None
        else (found.model, found.version, found.reason, found.error)
    )
