"""The sweeper: what nobody else would do. API and workers both run one; the store lets one through at a time."""

import hashlib
from collections.abc import Callable, Sequence

from msgspec import Struct

from pipelines.flow.observer import Observer
from pipelines.ports import Outlet
from pipelines.store.notices import Notices
from pipelines.store.port import Store, StoreAway

HOLD_S = 30.0
"""A row that was chosen for sending is nobody else's to send for so long."""
MOST = 500
LOST_LEASE_S = 60.0
"""Longer than processes are apart in seeing that a queue is there again."""


class SweepPlan(Struct, frozen=True):
    interval: float = 2.0
    retention: float = 7 * 86_400.0
    tombstones: float = 30 * 86_400.0
    """Longer than any broker keeps a message."""
    resend_after: float = 3600.0
    adopt_every: int = 150
    """Rounds from look to look for rows that were queued without a broker: it costs reading every row that is queued."""


class Sweeper:
    def __init__(
        self,
        store: Store,
        notices: Notices,
        observer: Observer,
        plan: SweepPlan,
        outlet: Outlet | None,
        remove: Callable[[Sequence[str]], None] = lambda refs: None,
    ) -> None:
        """`remove`: of payloads that no row names any more. It must not wait for them."""
        self._store = store
        self._notices = notices
        self._observer = observer
        self._outlet = outlet
        self._remove = remove
        self.plan = plan
        self._rounds = 0
        self._lost: set[str] = set()
        """Models whose messages the broker lost, and whose rows do not say so yet."""
        self.away: str | None = None
        """One line while the store is away, as of the last round. Any thread may read it."""

    def step(self) -> None:
        """One round; a store that is away is only told of."""
        try:
            swept = self._store.sweep(self.plan.retention, self.plan.tombstones)
            self.away = None
            if swept is not None and swept.expired:
                self._notices.ended(swept.expired)
            if swept is not None and swept.refs:
                self._remove(swept.refs)
            if self._outlet is not None:
                self._unsend(self._outlet)
            if swept is not None and self._outlet is not None:
                self._adopt()
                self._send(self._outlet)
        except StoreAway as away:
            self.away = str(away)
            self._observer.trouble(f"sweep: {away}")

    def _adopt(self) -> None:
        if self._rounds % self.plan.adopt_every == 0:
            adopted = self._store.adopt()
            if adopted:
                self._observer.trouble(
                    f"{adopted} jobs were queued without FOREBAY_QUEUE, and are sent now: set it wherever jobs are submitted"
                )
        self._rounds += 1

    def _unsend(self, outlet: Outlet) -> None:
        """Whoever saw it does this, and whoever comes first: all that use the queue saw it within seconds."""
        self._lost.update(outlet.lost())
        if not self._lost:
            return
        models = sorted(self._lost)
        name = hashlib.sha256(" ".join(models).encode()).hexdigest()[:32]
        if self._store.take_lease(f"lost {name}", LOST_LEASE_S):
            count = self._store.unsend(models)
            self._observer.trouble(f"their queue was made anew: {count} jobs are sent again, of {', '.join(models)}")
        self._lost.clear()

    def _send(self, outlet: Outlet) -> None:
        messages = self._store.to_send(MOST, HOLD_S, self.plan.resend_after)
        if not messages:
            return
        confirmed = outlet.send(messages)
        sent = [message for message, ok in zip(messages, confirmed, strict=True) if ok]
        self._store.stamp_sent(sent)
        if len(sent) < len(messages):
            self._store.unhold([message for message, ok in zip(messages, confirmed, strict=True) if not ok])
            self._observer.trouble(f"the broker confirmed {len(sent)} of {len(messages)} messages")
