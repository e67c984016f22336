"""The janitor: removes the payloads of jobs that are gone, and about hourly what no row ever came to name.

A process that was killed between putting a payload and committing its row, or between purging a row and removing its
payload, leaves an orphan. It is removed when it is a day old.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence

from msgspec import Struct

from pipelines.clock import Clock
from pipelines.payloads import keys
from pipelines.payloads.port import Payloads, PayloadsAway, Shelf
from pipelines.store.port import Store, StoreAway

LEASE = "payloads"
MOST_WAITING = 100_000
"""Keys to remove; those beyond are left to become orphans."""
AT_ONCE = 1000


class TidyPlan(Struct, frozen=True):
    interval: float = 3600.0
    """Seconds from one look for orphans to the next, of all processes together."""
    age: float = 86_400.0
    """Seconds after which what no row names is an orphan: no submission takes nearly so long."""


PLAN = TidyPlan()


class Janitor:
    """A thread of its own steps it: a storage that hangs holds up nobody else."""

    def __init__(
        self,
        payloads: Payloads,
        shelf: Shelf,
        store: Store,
        clock: Clock,
        tell: Callable[[str], None],
        plan: TidyPlan = PLAN,
    ) -> None:
        self._payloads = payloads
        self._shelf = shelf
        self._store = store
        self._clock = clock
        self._tell = tell
        self._plan = plan
        self._waiting: deque[str] = deque(maxlen=MOST_WAITING)
        self._changed = threading.Condition()
        self._next_look = clock.monotonic()

    def put(self, refs: Sequence[str]) -> None:
        """Remove these: their rows are gone, and that is committed."""
        with self._changed:
            self._waiting.extend(filter(keys.is_key, refs))
            self._changed.notify_all()

    def wait(self, timeout: float) -> None:
        with self._changed:
            if not self._waiting:
                self._changed.wait(timeout)

    def step(self) -> int:
        """How many were removed. What is away is told, and left for the next look for orphans."""
        try:
            return self._remove_waiting() + self._look_for_orphans()
        except (PayloadsAway, StoreAway) as away:
            self._tell(f"payloads not removed, will be later: {away}")
            return 0

    def _remove_waiting(self) -> int:
        removed = 0
        while refs := self._take():
            self._payloads.remove(refs)
            removed += len(refs)
        return removed

    def _take(self) -> list[str]:
        with self._changed:
            return [self._waiting.popleft() for _ in range(min(AT_ONCE, len(self._waiting)))]

    def _look_for_orphans(self) -> int:
        if self._clock.monotonic() < self._next_look:
            return 0
        self._next_look = self._clock.monotonic() + self._plan.interval
        # Held for the whole interval, by whoever came first: the others have nothing to look for.
        if not self._store.take_lease(LEASE, self._plan.interval):
            return 0
        removed = 0
        for page in self._shelf.older(self._plan.age):
            orphans = self._store.unnamed(list(filter(keys.is_key, page)))  # the rest is not ours to remove
            self._payloads.remove(orphans)
            removed += len(orphans)
        if removed:
            self._tell(f"{removed} payloads that no job names were removed")
        return removed
