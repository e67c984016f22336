"""What this worker holds under lease: waiting and running alike. The heartbeat goes by it."""

import threading
from collections.abc import Iterable, Sequence

from pipelines.flow.item import Item
from schemas.jobs import Claim


class Held:
    """Thread-safe. By row and fence: a worker that lost a lease may hold the same row again before it notices."""

    def __init__(self) -> None:
        self._items: dict[tuple[int, int], Item] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._items)

    def add(self, items: Sequence[Item]) -> None:
        with self._lock:
            self._items.update({(item.claim.seq, item.claim.fence): item for item in items})

    def remove(self, claims: Iterable[Claim]) -> None:
        with self._lock:
            for claim in claims:
                self._items.pop((claim.seq, claim.fence), None)

    def since(self, arrived_before: float) -> list[Item]:
        """Those that arrived before this and still have a lease."""
        with self._lock:
            return [item for item in self._items.values() if item.arrived <= arrived_before and not item.lost]
