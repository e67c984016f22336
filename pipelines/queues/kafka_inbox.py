"""Between the thread that polls and those that work: what was read and not handed out, and the ledger of all that is open."""

import threading
from collections import deque
from collections.abc import Iterable, Sequence

from msgspec import Struct

from pipelines.queues.envelopes import Found
from pipelines.queues.kafka_ledger import Ledger, Partition, Receipt


class Arrival(Struct, frozen=True):
    receipt: Receipt
    found: Found
    size: int
    """Bytes."""


class Limit(Struct, frozen=True):
    """Of what waits here; the last that comes in may go beyond."""

    items: int
    size: int
    """Bytes."""


class Inbox:
    """Thread-safe."""

    def __init__(self, limit: Limit) -> None:
        self._limit = limit
        self._ledger = Ledger()
        self._waiting: deque[Arrival] = deque()
        self._bytes = 0
        self._changed = threading.Condition()

    # --- the thread that polls ---

    def assigned(self, partitions: Sequence[Partition]) -> None:
        with self._changed:
            self._ledger.assigned(partitions)
            self._drop_stale()

    def gone(self, partitions: Sequence[Partition]) -> None:
        with self._changed:
            self._ledger.gone(partitions)
            self._drop_stale()

    def put(self, partition: Partition, offset: int, found: Found, size: int) -> bool:
        """False: the partition is not ours any more."""
        with self._changed:
            receipt = self._ledger.read(partition, offset)
            if receipt is None:
                return False
            self._waiting.append(Arrival(receipt, found, size))
            self._bytes += size
            return True

    def room(self) -> int:
        """How many more may come in; none while there are too many bytes."""
        return self._limit.items - len(self._waiting) if self._bytes < self._limit.size else 0

    def bytes_left(self) -> int:
        return self._limit.size - self._bytes

    def roomy(self) -> bool:
        """Half empty: time to read on."""
        return len(self._waiting) <= self._limit.items // 2 and self._bytes <= self._limit.size // 2

    def wait_for_room(self, timeout: float) -> bool:
        with self._changed:
            return self._changed.wait_for(self.roomy, timeout)

    def partitions(self) -> set[Partition]:
        with self._changed:
            return self._ledger.partitions

    def progress(self, of: Sequence[Partition] | None = None) -> dict[Partition, int]:
        with self._changed:
            return self._ledger.progress(of)

    def bases(self) -> dict[Partition, int]:
        with self._changed:
            return self._ledger.bases()

    def untell(self, partitions: Iterable[Partition]) -> None:
        with self._changed:
            self._ledger.untell(partitions)

    # --- those that work ---

    def take(self, most: int) -> list[Arrival]:
        with self._changed:
            taken = [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]
            self._bytes -= sum([arrival.size for arrival in taken])
            self._changed.notify_all()
            return taken

    def settle(self, receipts: Iterable[Receipt]) -> None:
        with self._changed:
            self._ledger.settle(receipts)

    def holding(self, receipts: Sequence[Receipt]) -> list[bool]:
        with self._changed:
            return [self._ledger.holds(receipt) for receipt in receipts]

    def __len__(self) -> int:
        return len(self._waiting)

    def _drop_stale(self) -> None:
        self._waiting = deque(arrival for arrival in self._waiting if self._ledger.holds(arrival.receipt))
        self._bytes = sum([arrival.size for arrival in self._waiting])
        self._changed.notify_all()
