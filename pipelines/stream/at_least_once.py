"""At least once, for brokers without transactions: answers first, offsets after; a crash in between repeats answers."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicPartition

from pipelines.kafka.errors import error_of, is_refused, one_line
from pipelines.stream.dead import Buried
from pipelines.stream.positions import Partition
from pipelines.stream.sinks import Undone
from pipelines.stream.writing import Writer

Commit = Callable[[Sequence[TopicPartition]], None]


class AtLeastOnceSink:
    """A `Sink`. What was written stays written: `abort` only makes sure that no offset behind it is committed."""

    def __init__(self, producer: Callable[..., Producer], writer: Writer, commit: Commit, patience: float) -> None:
        """`producer` takes librdkafka's callbacks. `commit`: the consumer's, synchronous. `patience`: seconds for all
        that is under way to be confirmed."""
        self._producer = producer(on_delivery=self._delivered)
        self._writer = writer
        self._commit = commit
        self._patience = patience
        self._fault: KafkaError | None = None

    def begin(self, group: Any) -> None:
        self._fault = None

    def write(self, messages: Sequence[Message], values: Sequence[bytes]) -> None:
        try:
            self._writer.write(self._producer, messages, values)
        except KafkaException as fault:
            raise Undone(f"kafka: output: {one_line(fault)}") from fault
        self._producer.poll(0)

    def bury(self, letters: Sequence[Buried]) -> None:
        try:
            self._writer.bury(self._producer, letters)
        except KafkaException as fault:
            raise Undone(f"kafka: dead letters: {one_line(fault)}") from fault

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        left = self._producer.flush(self._patience)
        if left:
            raise Undone(f"kafka: {left} records were not confirmed within {self._patience:g} s")
        if self._fault is not None:
            raise Undone(f"kafka: a record was not taken: {one_line(self._fault)}")
        try:
            self._commit([TopicPartition(topic, number, offset) for (topic, number), offset in offsets.items()])
        except KafkaException as fault:
            if is_refused(error_of(fault)):
                raise
            raise Undone(f"kafka: offsets: {one_line(fault)}") from fault

    def abort(self) -> None:
        self._producer.purge()
        self._producer.flush(1.0)
        self._fault = None

    def renew(self) -> None: ...

    def committed(self, partitions: Collection[Partition]) -> None:
        return None

    def close(self) -> None:
        self._producer.purge()
        self._producer.flush(1.0)

    def _delivered(self, error: KafkaError | None, _: Message) -> None:
        if error is not None and self._fault is None:
            self._fault = error
