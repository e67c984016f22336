"""What a stream scenario plays on: topics of a broker, the model `probe`, and workers of the `forebay` command."""

import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct

from tests.e2e import probe
from tests.e2e.processes import Forebay, Place, place
from tests.services.broker import Broker
from tests.stream.topics import EPOCH_MS, KEYS, Found, Given, Progress, read_all


class StreamStage(Struct, frozen=True):
    place: Place
    broker: Broker
    model: Path
    topic: str
    progress: Progress

    @property
    def output(self) -> str:
        return f"{self.topic}.out"

    @property
    def dead(self) -> str:
        return f"{self.topic}.dlq"

    def start(self, *arguments: str, **settings: str) -> Forebay:
        """A worker, not yet ready."""
        return self.place.start("stream", "--model", probe.NAME, "--input", self.topic, *arguments, **settings)

    def check(self, given: Sequence[Given], dead: set[int]) -> tuple[list[Found], list[Found]]:
        """Output ⊎ dead letters = input, exactly; each answer is its own; order per key. Answers and dead letters."""
        answers, letters = read_all(self.broker, self.output), read_all(self.broker, self.dead)
        _exactly_once(given, dead, answers, letters)
        by_number = {each.n: each for each in given}
        for answer in answers:
            assert answer.value is not None
            assert json.loads(answer.value) == {"y": [probe.f(answer.n)]}, f"record {answer.n} has another's answer"
            assert answer.key == by_number[answer.n].key
            assert answer.timestamp == EPOCH_MS + answer.n
            assert answer.headers["forebay.model"] == b"probe"
        for letter in letters:
            original = by_number[letter.n]
            assert (letter.key, letter.value) == (original.key, original.value)
            assert letter.headers["forebay.dlq.topic"] == self.topic.encode()
        _in_order(answers)
        return answers, letters


@contextmanager
def stream_stage(broker: Broker, partitions: int = 4, model: dict[str, Any] | None = None) -> Iterator[StreamStage]:
    folder = Path(tempfile.mkdtemp(prefix="fb-"))
    topic = broker.fresh_topic(partitions)
    for made in (f"{topic}.out", f"{topic}.dlq"):
        broker.create(made, partitions)
    written = probe.write(folder / "models", **{"max_batch_size": 64, **(model or {})})
    progress = Progress(broker, topic, f"forebay.{probe.NAME}.{topic}")
    try:
        with place(folder, folder / "models", KAFKA_BOOTSTRAP_SERVERS=broker.bootstrap) as there:
            yield StreamStage(there, broker, written, topic, progress)
    finally:
        progress.close()
        shutil.rmtree(folder, ignore_errors=True)


def _exactly_once(given: Sequence[Given], dead: set[int], answers: list[Found], letters: list[Found]) -> None:
    answered, buried = [each.n for each in answers], [each.n for each in letters]
    twice = _repeated(answered) | _repeated(buried) | (set(answered) & set(buried))
    lost = {each.n for each in given} - set(answered) - set(buried)
    assert not twice, f"{len(twice)} records came out twice: {sorted(twice)[:10]}"
    assert not lost, f"{len(lost)} records are lost: {sorted(lost)[:10]}"
    assert set(buried) == dead


def _repeated(numbers: list[int]) -> set[int]:
    seen: set[int] = set()
    return {n for n in numbers if n in seen or seen.add(n)}  # type: ignore[func-returns-value]


def _in_order(answers: list[Found]) -> None:
    last: dict[tuple[bytes | None, int], int] = {}
    partitions: dict[bytes | None, int] = {}
    for answer in answers:
        assert partitions.setdefault(answer.key, answer.partition) == answer.partition, "a key on two partitions"
        at = (answer.key, answer.partition)
        assert last.get(at, -1) < answer.n, f"key {answer.key!r}: {answer.n} came after {last[at]}"
        last[at] = answer.n
    assert len(partitions) <= KEYS
