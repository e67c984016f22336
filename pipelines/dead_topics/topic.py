"""A dead-letter topic: what is not settled yet, in order, as far as it reached when it was looked at."""

from collections.abc import Collection, Iterator
from typing import Any, Self

from confluent_kafka import Message, TopicPartition
from msgspec import Struct

from pipelines.clock import Clock
from pipelines.dead_topics.letter import Letter, read
from pipelines.dead_topics.reading import Reader
from pipelines.dead_topics.settled import NotOurs, Settled, Span
from pipelines.kafka.faults import KafkaRefused
from pipelines.kafka.options import Kafka
from pipelines.kafka.topics import ensure

_WORTH_A_SEEK = 5_000
"""Settled records in between: fewer are read past more quickly than sought over."""


def group_of(topic: str) -> str:
    """The consumer group that keeps what is settled; also the transactional id of who settles."""
    return f"forebay.dlq.{topic}"


class Part(Struct, frozen=True):
    """One partition, as it was when it was looked at."""

    number: int
    committed: Settled
    """As the group has it."""
    settled: Settled
    first: int
    """The first offset that the topic still has."""
    end: int
    """Behind the last letter that is committed."""

    @property
    def open(self) -> list[Span]:
        """Where letters may be that are not settled; not every offset holds one."""
        return self.settled.open_spans(self.first, self.end)


class DeadTopic:
    """Called by one thread, for one partition at a time. Every call raises KafkaAway and KafkaRefused."""

    def __init__(self, reader: Reader, topic: str, partitions: int) -> None:
        self._reader = reader
        self.topic = topic
        self._partitions = partitions

    @classmethod
    def open(cls, kafka: Kafka, topic: str, clock: Clock) -> Self:
        partitions = ensure(kafka, [topic], None, "forebay stream --create-topics")[topic]
        return cls(Reader(kafka, group_of(topic), clock), topic, partitions)

    def close(self) -> None:
        self._reader.close()

    def group(self) -> Any:
        return self._reader.group()

    def look(self, only: Collection[int] | None = None) -> list[Part]:
        """Every partition, or these of them."""
        numbers = [number for number in range(self._partitions) if only is None or number in only]
        return [self._part(number, settled) for number, settled in self.settled(numbers).items()]

    def settled(self, numbers: Collection[int]) -> dict[int, Settled]:
        """As committed."""
        found = self._reader.committed(self.topic, list(numbers)) if numbers else []
        return {each.partition: self._as_committed(each) for each in found}

    def letters(self, part: Part) -> Iterator[Letter]:
        """Those of this partition that are not settled, in order."""
        for first, behind in _stretches(part.open):
            for message in self._reader.records(self.topic, part.number, first, behind):
                if (message.offset() or 0) not in part.settled:
                    yield read(message)

    def record(self, number: int, offset: int) -> Message | None:
        return self._reader.record(self.topic, number, offset) if number < self._partitions else None

    def _part(self, number: int, committed: Settled) -> Part:
        first, end = self._reader.watermarks(self.topic, number)
        # Beyond the end: the topic was deleted and made again, and what is settled was of another.
        settled = (committed if committed.base <= end else Settled(0)).with_spans([(0, first)])
        return Part(number, committed, settled, first, end)

    def _as_committed(self, found: TopicPartition) -> Settled:
        try:
            return Settled.of(max(0, found.offset), found.metadata)
        except NotOurs as fault:
            where = f"kafka: group {group_of(self.topic)!r}, partition {found.partition}"
            raise KafkaRefused(f"{where}: the metadata of its offset cannot be read: {fault}; reset it") from fault


def _stretches(spans: list[Span]) -> list[Span]:
    """What is read in one go each."""
    stretches = list[Span]()
    for first, behind in spans:
        if stretches and first - stretches[-1][1] < _WORTH_A_SEEK:
            stretches[-1] = (stretches[-1][0], behind)
        else:
            stretches.append((first, behind))
    return stretches
