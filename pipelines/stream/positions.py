"""Where the partitions that are ours stand: what was read, what was run, where to go back to."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol, TypeAlias

Partition: TypeAlias = tuple[str, int]
"""Topic and number."""
Spans: TypeAlias = Mapping[Partition, tuple[int, int]]
"""First and last offset of the records of each partition."""


class Read(Protocol):
    """A record, as confluent-kafka hands it out."""

    def topic(self) -> str | None: ...
    def partition(self) -> int | None: ...
    def offset(self) -> int | None: ...


def spans_of(records: Sequence[Read]) -> dict[Partition, tuple[int, int]]:
    """Records of one partition are in order of their offsets."""
    spans: dict[Partition, tuple[int, int]] = {}
    for record in records:
        partition = (record.topic(), record.partition())
        offset = record.offset()
        known = spans.get(partition)  # type: ignore[arg-type]  # a record without error has all three
        spans[partition] = (offset, offset) if known is None else (known[0], offset)  # type: ignore[assignment,index]
    return spans


class Positions:
    """Pure bookkeeping. `read` comes before `ran`, `ran` before `committed`."""

    def __init__(self) -> None:
        self._owned: set[Partition] = set()
        self._base: dict[Partition, int] = {}
        """Where each starts again when what was read is undone."""
        self._ahead: dict[Partition, int] = {}
        """Behind the last record read."""
        self._ran: dict[Partition, int] = {}
        """Behind the last record run since the last commit: the offsets that a commit writes."""

    @property
    def owned(self) -> frozenset[Partition]:
        return frozenset(self._owned)

    def assigned(self, partitions: Iterable[Partition]) -> None:
        self._owned.update(partitions)

    def gone(self, partitions: Iterable[Partition]) -> None:
        """Revoked or lost: whatever was read of them and not committed is somebody else's now."""
        for partition in partitions:
            self._owned.discard(partition)
            for known in (self._base, self._ahead, self._ran):
                known.pop(partition, None)

    def read(self, spans: Spans) -> None:
        for partition, (first, last) in spans.items():
            self._base.setdefault(partition, first)
            self._ahead[partition] = last + 1

    def ran(self, spans: Spans) -> None:
        for partition, (_, last) in spans.items():
            self._ran[partition] = last + 1

    def to_commit(self) -> dict[Partition, int]:
        return dict(self._ran)

    def committed(self) -> None:
        self._base.update(self._ran)
        self._ran.clear()

    def base(self, partition: Partition) -> int | None:
        """Its next offset by the last commit; None before anything was read."""
        return self._base.get(partition)

    def rebase(self, committed: Mapping[Partition, int]) -> None:
        """What is really committed: the answer to a commit may have been lost, and the commit not."""
        for partition, offset in committed.items():
            if partition in self._base:
                self._base[partition] = max(offset, self._base[partition])

    def undone(self) -> dict[Partition, int]:
        """What was read since the last commit is read again: where from, by partition."""
        again = {partition: base for partition, base in self._base.items() if self._ahead.get(partition, base) != base}
        self._ahead.update(again)
        self._ran.clear()
        return again
