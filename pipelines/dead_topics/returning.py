"""A replay: the record as it was, back to the partition it came from."""

from collections.abc import Callable

from confluent_kafka import Message
from msgspec import Struct

from pipelines.dead_topics.letter import REPLAYS, Burial, Letter, replays_of
from pipelines.dead_topics.verdicts import Left, Outgoing, Replayed
from pipelines.kafka.faults import KafkaRefused
from pipelines.kafka.limits import largest_records
from pipelines.kafka.options import Kafka
from pipelines.kafka.topics import ensure
from pipelines.stream.dead import PREFIX, Headers, headers_of, size_of, timestamp_of


class _Input(Struct, frozen=True):
    """A topic that letters go back to."""

    partitions: int = 0
    largest: int | None = None
    """Bytes of value, key and headers that it takes."""
    fault: str | None = None


class Returning:
    """Called by one thread. Looks at each input topic once."""

    def __init__(self, kafka: Kafka, original: Callable[[Burial], Message | None]) -> None:
        """`original`: the record that a letter left behind, as its topic has it."""
        self._kafka = kafka
        self._original = original
        self._inputs: dict[str, _Input] = {}

    def judge(self, letter: Letter) -> Replayed | Left:
        """Raises KafkaAway; and KafkaRefused when an original may not be read."""
        burial = letter.burial
        if burial is None:
            return Left(letter, "its headers do not say where it came from")
        to = self._input(burial.topic)
        if to.fault is not None:
            return Left(letter, to.fault)
        message = self._original(burial) if burial.left_behind else letter.message
        if message is None:
            return Left(
                letter, f"it was left at {burial.topic}/{burial.partition}/{burial.offset} and is gone from there"
            )
        headers = _headers(message)
        if to.largest is not None and size_of(message, headers) > to.largest:
            return Left(letter, f"it is larger than {burial.topic} takes (max.message.bytes)")
        partition = burial.partition if burial.partition < to.partitions else -1
        return Replayed(
            letter, Outgoing(burial.topic, partition, message.key(), message.value(), headers, timestamp_of(message))
        )

    def _input(self, topic: str) -> _Input:
        if topic not in self._inputs:
            try:
                partitions = ensure(self._kafka, [topic], None, "forebay stream --create-topics")[topic]
                self._inputs[topic] = _Input(partitions, largest_records(self._kafka, [topic]).get(topic))
            except KafkaRefused as fault:  # one input that is gone must not keep the letters of another
                self._inputs[topic] = _Input(fault=str(fault))
        return self._inputs[topic]


def _headers(message: Message) -> Headers:
    """The record's own, and how often it was replayed."""
    given = headers_of(message)
    own = [(name, value) for name, value in given if name != REPLAYS and not name.startswith(PREFIX)]
    return [*own, (REPLAYS, str(replays_of(given) + 1).encode())]
