"""Reading a dead-letter topic: what is not settled yet, in order, as far as it reached when it was looked at."""

from collections.abc import Collection, Iterator
from typing import Any, Self

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from msgspec import Struct

from pipelines.clock import Clock
from pipelines.dead_topics.letter import Letter, read
from pipelines.dead_topics.settled import NotOurs, Settled, Span
from pipelines.kafka.errors import error_of, is_refused, one_line
from pipelines.kafka.faults import KafkaAway, KafkaRefused
from pipelines.kafka.options import Kafka, consumer
from pipelines.kafka.topics import ensure
from pipelines.stream.options import consumer_options

PATIENCE_S = 10.0
SILENCE_S = 30.0
"""Without a record and without the end: then nobody answers any more."""
_MOST = 500
_POLL_S = 1.0
_WORTH_A_SEEK = 5_000
"""Settled records in between: fewer are read past more quickly than sought over."""


def group_of(topic: str) -> str:
    """The consumer group that keeps what is settled; also the transactional id of who settles."""
    return f"forebay.dlq.{topic}"


class Part(Struct, frozen=True):
    """One partition, as it was when it was looked at."""

    number: int
    settled: Settled
    first: int
    """The first offset that the topic still has."""
    end: int
    """Behind the last letter that is committed."""

    @property
    def size(self) -> int:
        """Letters that are not settled, at most: some offsets hold no record."""
        return sum(behind - first for first, behind in self.settled.open_spans(self.first, self.end))


class DeadTopic:
    """Called by one thread. Joins no group and commits nothing."""

    def __init__(self, client: Consumer, kafka: Kafka, topic: str, partitions: int, clock: Clock) -> None:
        self._client = client
        self._kafka = kafka
        self.topic = topic
        self._partitions = partitions
        self._clock = clock

    @classmethod
    def open(cls, kafka: Kafka, topic: str, clock: Clock) -> Self:
        """Raises KafkaAway, and KafkaRefused for a topic that is missing or may not be read."""
        partitions = ensure(kafka, [topic], None, "forebay stream --create-topics")[topic]
        return cls(_reader(kafka, group_of(topic)), kafka, topic, partitions, clock)

    def close(self) -> None:
        self._client.close()

    def group(self) -> Any:
        """For `send_offsets_to_transaction`."""
        return self._client.consumer_group_metadata()

    def look(self, only: Collection[int] | None = None) -> list[Part]:
        """Every partition, or these of them. Raises KafkaAway and KafkaRefused."""
        numbers = [number for number in range(self._partitions) if only is None or number in only]
        return [self._part(number, settled) for number, settled in self.settled(numbers).items()]

    def settled(self, numbers: Collection[int]) -> dict[int, Settled]:
        """As committed. Raises KafkaAway and KafkaRefused."""
        if not numbers:
            return {}
        try:
            found = self._client.committed([TopicPartition(self.topic, number) for number in numbers], PATIENCE_S)
        except KafkaException as fault:
            raise self._fault(error_of(fault), "what is settled is unknown") from fault
        for each in found:
            if each.error is not None:
                raise self._fault(each.error, "what is settled is unknown")
        return {each.partition: self._as_committed(each) for each in found}

    def letters(self, part: Part) -> Iterator[Letter]:
        """Those of this partition that are not settled, in order. Raises KafkaAway and KafkaRefused."""
        for first, behind in _stretches(part.settled.open_spans(part.first, part.end)):
            for message in self._records(part.number, first, behind):
                if (message.offset() or 0) not in part.settled:
                    yield read(message)

    def record(self, topic: str, number: int, offset: int) -> Message | None:
        """One record of any topic; None when it is not there any more. Raises KafkaAway and KafkaRefused."""
        start, end = self._watermarks(topic, number)
        if not start <= offset < end:
            return None
        found = next(self._records(number, offset, offset + 1, topic), None)
        return found if found is not None and found.offset() == offset else None

    def _records(self, number: int, first: int, behind: int, topic: str | None = None) -> Iterator[Message]:
        self._client.assign([TopicPartition(topic or self.topic, number, first)])
        heard = self._clock.monotonic()
        while True:
            got = self._client.consume(_MOST, _POLL_S)
            for message in got:
                if message.error() is not None:
                    if self._is_end(message):
                        return
                elif (message.offset() or 0) >= behind:
                    return
                else:
                    yield message
                    heard = self._clock.monotonic()
            if self._clock.monotonic() - heard > SILENCE_S:
                raise KafkaAway(f"kafka {self._kafka.bootstrap}: nothing comes of {(topic or self.topic)!r}")

    def _is_end(self, message: Message) -> bool:
        error = message.error()
        assert error is not None
        if error.code() == KafkaError._PARTITION_EOF:
            return True
        if not error.retriable():
            raise self._fault(error, f"partition {message.partition()}")
        return False

    def _part(self, number: int, settled: Settled) -> Part:
        first, end = self._watermarks(self.topic, number)
        if settled.base > end:  # the topic was deleted and made again: what is settled was of another
            settled = Settled(0)
        return Part(number, settled, first, end)

    def _watermarks(self, topic: str, number: int) -> tuple[int, int]:
        """The first offset, and the one behind the last that is committed."""
        try:
            return self._client.get_watermark_offsets(TopicPartition(topic, number), PATIENCE_S)
        except KafkaException as fault:
            raise self._fault(error_of(fault), f"partition {number}", topic) from fault

    def _as_committed(self, found: TopicPartition) -> Settled:
        try:
            return Settled.of(max(0, found.offset), found.metadata)
        except NotOurs as fault:
            where = f"kafka: group {group_of(self.topic)!r}, partition {found.partition}"
            raise KafkaRefused(f"{where}: the metadata of its offset cannot be read: {fault}; reset it") from fault

    def _fault(self, error: KafkaError, what: str, topic: str | None = None) -> KafkaAway | KafkaRefused:
        kind = KafkaRefused if is_refused(error) else KafkaAway
        return kind(f"kafka {self._kafka.bootstrap}: topic {(topic or self.topic)!r}: {what}: {one_line(error)}")


def _reader(kafka: Kafka, group: str) -> Consumer:
    options = consumer_options(kafka, group, group, "earliest")
    options.pop("group.instance.id")  # it is a member of nothing: it says itself what it reads
    return consumer(options)


def _stretches(spans: list[Span]) -> list[Span]:
    """What is read in one go each."""
    stretches = list[Span]()
    for first, behind in spans:
        if stretches and first - stretches[-1][1] < _WORTH_A_SEEK:
            stretches[-1] = (stretches[-1][0], behind)
        else:
            stretches.append((first, behind))
    return stretches
