"""The heartbeat: leases of everything that waits or runs are extended long before they end."""

from pipelines.clock import Clock
from pipelines.flow.buffer import Buffer
from pipelines.flow.fetching import Fetcher
from pipelines.flow.held import Held
from pipelines.flow.observer import Observer
from pipelines.flow.outbox import Entry, Outbox
from pipelines.ports import Queue
from pipelines.store.port import Store, StoreAway
from schemas.verdicts import Release


class Heartbeat:
    def __init__(
        self, store: Store, queue: Queue, held: Held, buffer: Buffer, outbox: Outbox, clock: Clock, observer: Observer,
        lease: float, fetcher: Fetcher | None = None,
    ) -> None:  # fmt: skip
        self._store = store
        self._queue = queue
        self._held = held
        self._buffer = buffer
        self._outbox = outbox
        self._clock = clock
        self._observer = observer
        self._lease = lease
        self._fetcher = fetcher

    @property
    def interval(self) -> float:
        """Three beats fit into a lease, so that one may fail."""
        return self._lease / 3

    def step(self) -> int:
        """One beat; how many leases turned out to be lost (canceled, expired, or claimed by another worker)."""
        items = self._held.since(self._clock.monotonic() - self.interval / 2)
        if not items:
            return 0
        try:
            kept = set(self._store.extend([item.claim for item in items], self._lease))
        except StoreAway as away:
            self._observer.trouble(f"heartbeat: {away}")
            return 0
        self._queue.extend([item.delivery for item in items if item.claim.seq in kept])
        for item in items:
            item.lost = item.claim.seq not in kept
        self._let_go()
        return len(items) - len(kept)

    def _let_go(self) -> None:
        """What waits without a lease leaves before predict. What runs without one is refused at record."""
        if self._fetcher is not None:
            self._fetcher.drop_lost()
        gone = self._buffer.drop(lambda item: item.lost)
        self._outbox.put([Entry(item.delivery, Release(), record=False) for item in gone])
