"""Exactly once: outputs, dead letters and consumed offsets in one transaction of a Kafka producer (KIP-447)."""

from collections.abc import Callable, Collection, Mapping, Sequence

from confluent_kafka import Message, Producer, TopicPartition

from pipelines.stream.dead import Buried
from pipelines.stream.positions import Partition
from pipelines.stream.transactions import Transactions
from pipelines.stream.writing import Writer


class TransactionalSink(Transactions):
    """A `Sink`."""

    def __init__(
        self, make: Callable[[], Producer], writer: Writer, patience: float, tell: Callable[[str], None]
    ) -> None:
        """As `Transactions`."""
        super().__init__(make, patience, tell)
        self._writer = writer

    def write(self, messages: Sequence[Message], values: Sequence[bytes]) -> None:
        self.send(lambda producer: self._writer.write(producer, messages, values), "output")

    def bury(self, letters: Sequence[Buried]) -> None:
        self.send(lambda producer: self._writer.bury(producer, letters), "dead letters")

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        self.commit_at([TopicPartition(topic, number, offset) for (topic, number), offset in offsets.items()])

    def committed(self, partitions: Collection[Partition]) -> None:
        return None
