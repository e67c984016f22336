"""Intake: receive, claim, decode. What cannot run here gets its verdict here; the rest waits in the buffer."""

from collections.abc import Sequence
from itertools import count

from msgspec import Struct
from msgspec.structs import replace

from pipelines.clock import Clock
from pipelines.flow.breaker import Breaker
from pipelines.flow.buffer import Buffer
from pipelines.flow.credits import Credits
from pipelines.flow.fetching import Fetcher
from pipelines.flow.held import Held
from pipelines.flow.item import Item
from pipelines.flow.judging import Judge, crashed
from pipelines.flow.observer import Observer
from pipelines.flow.outbox import Entry, Outbox
from pipelines.flow.preparing import Preparer
from pipelines.flow.served import Fleet, Served
from pipelines.flow.watch import Watch
from pipelines.ports import Delivery, Message, Queue
from pipelines.store.port import Store
from schemas.jobs import Claim
from schemas.verdicts import Dead, Release, Verdict

NOT_SERVED_DELAY_S = 30.0
"""A version that this worker cannot run goes back for this long: another worker may, or this one after a deploy."""


class _Group(Struct):
    """What one receive brought of one model version: looked up once, not per item."""

    served: Served | None
    wary: bool
    """Whether the breaker may not let some of them in."""
    items: list[Item] = []


class Intake:
    def __init__(
        self, queue: Queue, store: Store, fleet: Fleet, buffer: Buffer, outbox: Outbox, held: Held, credits: Credits,
        judge: Judge, breaker: Breaker, clock: Clock, observer: Observer, lease: float, fetcher: Fetcher | None = None,
    ) -> None:  # fmt: skip
        """`fetcher`: None when no payloads are set up here."""
        self._queue = queue
        self._store = store
        self._fleet = fleet
        self._buffer = buffer
        self._outbox = outbox
        self._held = held
        self._credits = credits
        self._breaker = breaker
        self.watch = Watch(clock)
        self._preparer = Preparer(judge, breaker, self.watch)
        self._clock = clock
        self._observer = observer
        self._lease = lease
        self._fetcher = fetcher
        self._orders = count()
        self._unclaimed: list[Delivery] = []
        """Received while the store was away."""

    def step(self) -> int:
        """Take in as much as there is credit for; how many deliveries, and inputs that were fetched, came. Raises
        `StoreAway`."""
        fetched = 0 if self._fetcher is None else self._take_fetched(self._fetcher)
        room = self._credits.room()
        if room <= 0 or self.watch.given_up:
            return fetched
        deliveries = self._unclaimed or self._queue.receive(room)
        if not deliveries:
            return fetched
        self._unclaimed = deliveries  # until they are claimed, the next step finds them here again
        claimed, others = self._claim(deliveries)
        self._unclaimed = []
        self._credits.take(len(claimed) + len(others), sum([d.claim.size for d in claimed if d.claim is not None]))
        self._outbox.put(others)
        self._admit(claimed)
        return len(deliveries) + fetched

    def _claim(self, deliveries: Sequence[Delivery]) -> tuple[list[Delivery], list[Entry]]:
        """Those whose rows are ours now, and the others, to be settled. A message names a row by its id alone: where two
        tenants have rows of that id, both are due work and both come."""
        if deliveries[0].message is None:  # the store queue: receive was the claim
            return list(deliveries), []
        messages = [delivery.message for delivery in deliveries if delivery.message is not None]
        doomed = {message.model for message in messages if message.doom is not None}
        claims, refused = self._store.claim(messages, [*{*self._fleet.models, *doomed}], self._lease)
        by_id: dict[str, list[Claim]] = {}
        for claim in claims:
            by_id.setdefault(claim.id, []).append(claim)
        delays = {refusal.id: refusal.delay for refusal in refused}
        ours, others = [], []
        # A claim is the first one's that names its row. Of an envelope and a job whose end is decided already, that is the job:
        # nobody else knows of that end.
        if doomed:
            deliveries = sorted(deliveries, key=lambda each: each.message is None or each.message.doom is None)
        for delivery in deliveries:
            assert delivery.message is not None
            named = by_id.pop(delivery.message.id, ())  # a second message of the same row is settled
            ours += [
                Delivery(delivery.receipt, delivery.message, self._counted(delivery.message, claim)) for claim in named
            ]
            if not named:
                others.append(Entry(delivery, Release(delays.get(delivery.message.id, 0.0)), record=False))
        return ours, others

    def _counted(self, message: Message, claim: Claim) -> Claim:
        """One that the broker has handed out too often may be what takes workers down: it runs alone. No more than that, for
        the broker counts the neighbours of a culprit too: what dead-letters a job is its own `starts`."""
        if message.received <= 1:
            return claim
        served = self._fleet.find(claim.model, claim.version)
        if served is None or message.received <= served.limits.max_deliveries:
            return claim
        return replace(claim, lost=max(claim.lost, 2))

    def _admit(self, deliveries: Sequence[Delivery]) -> None:
        now = self._clock.monotonic()
        groups: dict[tuple[str, str], _Group] = {}
        verdicts: list[Entry] = []
        large: list[Item] = []
        for delivery in deliveries:
            claim = delivery.claim
            assert claim is not None
            group = groups.get((claim.model, claim.version))
            if group is None:
                served = self._fleet.find(claim.model, claim.version)
                wary = self._breaker.is_wary(claim.model, claim.version)
                group = groups[claim.model, claim.version] = _Group(served, wary)
            refusal = self._refusal(delivery, claim, group)
            if refusal is not None:
                verdicts.append(Entry(delivery, refusal))
            elif group.served is not None:
                item = Item(delivery, claim, group.served, now, next(self._orders))
                (group.items if claim.inputs_ref is None else large).append(item)
        every = [item for group in groups.values() for item in group.items]
        self._observer.claimed([item.claim for item in (*every, *large)] if large else [item.claim for item in every])
        self._held.add(every)
        self._outbox.put(verdicts)
        if large:
            self._held.add(large)
            self._send_for(large)
        self.watch.hand = every
        for group in groups.values():
            if group.served is not None:
                self._sort_out(group.served, group.items)

    def _refusal(self, delivery: Delivery, claim: Claim, group: _Group) -> Verdict | None:
        """What it gets instead of running; None: it may run."""
        if delivery.message is not None and (doom := _doom(delivery.message, claim)) is not None:
            return doom
        if group.served is None:
            return Release(NOT_SERVED_DELAY_S)
        if group.wary and self._breaker.pause_left(claim.model, claim.version, claim.tenant) > 0:
            return Release(self._breaker.back_in(claim))
        return None

    def _send_for(self, large: Sequence[Item]) -> None:
        """Their inputs are fetched while others run; they come back by `_take_fetched`."""
        if self._fetcher is None:
            self._observer.trouble("payloads: a job's input is among them, and FOREBAY_PAYLOADS names none here")
            self._outbox.put([Entry(item.delivery, Release(NOT_SERVED_DELAY_S)) for item in large])
            return
        dead = {item.order: crashed(item.claim, item.served.limits) for item in large if item.claim.suspect}
        self._outbox.put(
            [Entry(item.delivery, verdict) for item in large if (verdict := dead.get(item.order)) is not None]
        )
        self._fetcher.put([item for item in large if dead.get(item.order) is None])

    def _take_fetched(self, fetcher: Fetcher) -> int:
        items = fetcher.take()
        groups: dict[int, list[Item]] = {}
        for item in items:
            groups.setdefault(id(item.served), []).append(item)
        self.watch.hand = [item for group in groups.values() for item in group]
        for group in groups.values():
            self._sort_out(group[0].served, group)
        return len(items)

    def _sort_out(self, served: Served, items: Sequence[Item]) -> None:
        """Decode and hand on, with the verdicts of those that cannot run."""
        verdicts: list[tuple[Item, Verdict]] = []
        for_now = [item for item in items if not item.claim.suspect]
        waiting: list[Item] = []
        for suspect in [item for item in items if item.claim.suspect] if len(for_now) < len(items) else ():
            dead = crashed(suspect.claim, served.limits)
            if dead is None:
                waiting.append(suspect)
            else:
                verdicts.append((suspect, dead))
        ready, refused = self._preparer.prepare(served, for_now)
        entries = [Entry(item.delivery, verdict) for item, verdict in (*verdicts, *refused)]
        self.watch.answered(lambda: self._hand_over(items, [*waiting, *ready] if waiting else ready, entries))

    def _hand_over(self, items: Sequence[Item], ready: Sequence[Item], entries: Sequence[Entry]) -> None:
        self._buffer.put(ready)
        self._outbox.put(entries)
        self.watch.hand = self.watch.hand[len(items) :]  # in the order of the groups


def _doom(message: Message, claim: Claim) -> Dead | None:
    """What was decided before the claim, if it was of this row and generation: once replayed, it runs as any other."""
    if message.doom is None or message.tenant not in (None, claim.tenant):
        return None
    return message.doom if message.generation == claim.generation else None
