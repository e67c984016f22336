"""`forebay dlq replay | discard --topic`."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from itertools import islice
from typing import TYPE_CHECKING

from msgspec import Struct, structs

from forebay.cli.dlq_topic import matching, opened, place_of
from forebay.cli.errors import CommandError, Exit
from forebay.cli.output import json_line, progress, say, summary
from schemas.dead_letters import DeadLetterFilter

if TYPE_CHECKING:
    from forebay.settings import Settings
    from pipelines.dead_topics.letter import Letter
    from pipelines.dead_topics.settling import Settling
    from pipelines.dead_topics.topic import DeadTopic, Part
    from pipelines.dead_topics.verdicts import Left, Verdict
    from pipelines.kafka.options import Kafka

CALL_PATIENCE_S = 6.0
"""Within a transaction's time-out."""


class Asked(Struct, frozen=True):
    """What both commands are told."""

    settings: "Settings"
    bootstrap: str | None
    topic: str
    wanted: DeadLetterFilter
    limit: int | None
    json: bool


def replay(asked: Asked, rate: float | None, dry_run: bool) -> Exit:
    with opened(asked.settings, asked.bootstrap, asked.topic) as (dead, kafka):
        from pipelines.dead_topics.verdicts import Left

        told = _Told(asked, "replayed")
        with _returning(kafka, asked.topic) as returning:

            def judge(letter: "Letter") -> "Verdict":
                return returning(letter) if letter.matches(asked.wanted) else Left(letter)

            if dry_run:
                parts = _meant(dead, asked.wanted)
                would = (returning(letter) for letter in matching(dead, parts, asked.wanted))
                told.planned(islice(would, asked.limit))
            else:
                with _settling(asked, dead, kafka, rate) as settling:
                    parts = _meant(dead, asked.wanted)
                    told.run(settling, parts, judge)
        return told.rest(parts)


def discard(asked: Asked, confirm: Callable[[int], None] | None) -> Exit:
    """`confirm` is asked with how many there are, and raises when they are to stay."""
    with opened(asked.settings, asked.bootstrap, asked.topic) as (dead, kafka):
        from pipelines.dead_topics.verdicts import Discarded, Left

        ends: dict[int, int] | None = None
        if confirm is not None:
            seen = _meant(dead, asked.wanted)
            ends = {part.number: part.end for part in seen}
            count = sum(1 for _ in islice(matching(dead, seen, asked.wanted), asked.limit))
            if count:
                confirm(count)
        told = _Told(asked, "discarded")
        with _settling(asked, dead, kafka, rate=None) as settling:
            parts = _meant(dead, asked.wanted, ends)
            told.run(
                settling,
                parts,
                lambda letter: Discarded(letter) if letter.matches(asked.wanted) else Left(letter),
            )
        return told.rest(parts)


@contextmanager
def _returning(kafka: "Kafka", topic: str) -> "Iterator[Callable[[Letter], Verdict]]":
    from pipelines.clock import SystemClock
    from pipelines.dead_topics.reading import Reader
    from pipelines.dead_topics.returning import Returning
    from pipelines.dead_topics.topic import group_of

    with closing(Reader(kafka, group_of(topic), SystemClock())) as inputs:
        yield Returning(kafka, lambda burial: inputs.record(burial.topic, burial.partition, burial.offset)).judge


@contextmanager
def _settling(asked: Asked, dead: "DeadTopic", kafka: "Kafka", rate: float | None) -> "Iterator[Settling]":
    """Whoever settled this topic before is over from here on."""
    from pipelines.clock import SystemClock
    from pipelines.dead_topics.pace import Pace
    from pipelines.dead_topics.settling import Settling
    from pipelines.dead_topics.topic import group_of
    from pipelines.kafka.faults import InstanceTaken
    from pipelines.kafka.options import producer
    from pipelines.stream.instance import Instance
    from pipelines.stream.options import producer_options
    from pipelines.stream.transactions import Transactions

    clock = SystemClock()
    options = producer_options(kafka, group_of(asked.topic))
    try:
        alone = Instance.take(asked.settings.home / "dlq" / asked.topic, "settling")
    except InstanceTaken:
        raise CommandError(f"another replay or discard of {asked.topic} runs on this machine; wait for it") from None
    transactions = Transactions(lambda: producer(options, logger=_silence()), CALL_PATIENCE_S, say)
    with alone, closing(transactions):
        transactions.start()
        yield Settling(dead, transactions, Pace(rate, clock, time.sleep), clock, say)


def _silence() -> logging.Logger:
    """librdkafka logs what is fatal whatever its log level; here it is told in a line of ours."""
    silence = logging.Logger("kafka")
    silence.addHandler(logging.NullHandler())
    return silence


def _meant(dead: "DeadTopic", wanted: DeadLetterFilter, ends: dict[int, int] | None = None) -> "list[Part]":
    """The partitions to be read, no further than needed. `ends`: nor further than they were seen to reach."""
    places = [place_of(id) for id in wanted.ids]
    parts = []
    for part in dead.look({number for number, _ in places} if places else None):
        offsets = [offset for number, offset in places if number == part.number]
        first, end = max(part.first, min(offsets, default=0)), part.end
        if offsets:
            end = min(end, max(offsets) + 1)
        if ends is not None:
            end = min(end, ends.get(part.number, end))
        parts.append(structs.replace(part, first=first, end=end))
    return parts


class _Told:
    """Says of each letter what became of it, and at the end how many there were."""

    def __init__(self, asked: Asked, done: str) -> None:
        self._asked = asked
        self._done = done
        self._named: set[str] = set()
        """Ids of which something was said."""
        self._left_out: set[str] = set()
        self._taken = 0
        self._left = 0

    def run(self, settling: "Settling", parts: "list[Part]", judge: "Callable[[Letter], Verdict]") -> None:
        total = sum(behind - first for part in parts for first, behind in part.open)
        try:
            with progress(self._done, total) as advance:
                for chunk in settling.run(parts, judge, self._asked.limit):
                    for verdict in chunk:
                        self._tell(verdict)
                    advance(len(chunk))
        finally:  # also when it was interrupted: so many are done
            if settling.carried:
                say(
                    f"{settling.carried} letters that stay have new ids: they were written again to the end of the topic"
                )
            self._sum_up()

    def planned(self, verdicts: "Iterable[Verdict]") -> None:
        self._done = f"would be {self._done}"
        for verdict in verdicts:
            self._tell(verdict)
        self._sum_up()

    def rest(self, parts: "Iterable[Part]") -> Exit:
        """Says of each id that was named and is no letter that matches what it is instead."""
        settled = {part.number: part.settled for part in parts}
        unknown = False
        for id in dict.fromkeys(self._asked.wanted.ids):
            if id in self._named:
                continue
            partition, offset = place_of(id)
            if id in self._left_out:
                text = "a dead letter that the filters or --limit leave out"
            elif partition in settled and offset in settled[partition]:
                text = "not a dead letter any more: it was replayed or discarded, or its time was over"
            else:
                text, unknown = f"no such record in {self._asked.topic}", True
            say(f"{id}: {text}")
            if self._asked.json:
                json_line({"id": id, "error": text})
        return Exit.NOT_FOUND if unknown else Exit.FAILED if self._left else Exit.OK

    def _tell(self, verdict: "Verdict") -> None:
        from pipelines.dead_topics.verdicts import Left, Replayed

        if isinstance(verdict, Left):
            self._tell_left(verdict)
            return
        id, done = verdict.letter.id, self._done
        self._taken += 1
        self._named.add(id)
        to = verdict.record.topic if isinstance(verdict, Replayed) else None
        if self._asked.json:
            json_line({"id": id, done.replace(" ", "_"): True, **({} if to is None else {"topic": to})})
        else:
            print(f"{id} {done}" if to is None else f"{id} {done} to {to}")

    def _tell_left(self, left: "Left") -> None:
        id = left.letter.id
        if id in self._asked.wanted.ids:
            (self._left_out if left.why is None else self._named).add(id)
        if left.why is None:
            return
        self._left += 1
        if self._asked.json:
            json_line({"id": id, self._done.replace(" ", "_"): False, "error": left.why})
        say(f"{id} stays: {left.why}")

    def _sum_up(self) -> None:
        stay = f"; {self._left} stay" if self._left else ""
        summary(f"{self._taken} {self._done}{stay}", self._asked.json)
