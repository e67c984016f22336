"""The output side's port: answers, dead letters and offsets, together or not at all."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

from confluent_kafka import Message

from pipelines.stream.dead import Buried
from pipelines.stream.positions import Partition


class Undone(Exception):
    """The open transaction is aborted, or must be: everything since the last commit is to be read again. One line."""


class Outdated(Undone):
    """So it is because the producer was fenced: by the coordinator, after a time-out, or by another process of our name.
    Which of the two, only the consumer is told."""


class Sink(Protocol):
    """Called by one thread: begin, write and bury any number of times, then commit or abort."""

    def begin(self, group: Any) -> None:
        """`group`: the consumer's group metadata of this moment; a commit under another generation is refused."""
        ...

    def write(self, messages: Sequence[Message], values: Sequence[bytes]) -> None:
        """One answer for each record, in order. Raises Undone."""
        ...

    def bury(self, letters: Sequence[Buried]) -> None:
        """Raises Undone."""
        ...

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        """All that was written, and these next offsets. Raises Undone when it did not happen, Fenced when this process
        must end."""
        ...

    def abort(self) -> None:
        """Nothing that was written since `begin` is ever seen. Raises Fenced."""
        ...

    def renew(self) -> None:
        """After an abort: what may still be open in our name is ended now, so that readers of the output need not wait for
        its time-out. Raises KafkaAway, KafkaRefused; nothing is lost when it does."""
        ...

    def committed(self, partitions: Collection[Partition]) -> Mapping[Partition, int] | None:
        """Next offsets by what is committed; None where the group keeps them. Raises Undone while nobody knows."""
        ...

    def close(self) -> None: ...
