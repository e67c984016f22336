"""The device's side: take a batch, count its start, run it, judge it, hand the verdicts on."""

from collections.abc import Sequence

from pipelines.clock import Clock
from pipelines.flow.breaker import Breaker
from pipelines.flow.buffer import Batch, Buffer, Wait
from pipelines.flow.ceilings import Ceilings
from pipelines.flow.isolation import Predict, isolate
from pipelines.flow.item import Item
from pipelines.flow.judging import Judge
from pipelines.flow.observer import Observer
from pipelines.flow.outbox import Entry, Outbox
from pipelines.flow.preparing import Preparer
from pipelines.flow.served import Served
from pipelines.flow.watch import FINISHING, PREDICTING, Watch
from pipelines.ports import Tensors
from pipelines.store.port import Store
from schemas.verdicts import Release, Verdict


class Device:
    """One device, used by one thread. `step` never waits for work, but for the model."""

    def __init__(
        self, store: Store, buffer: Buffer, outbox: Outbox, judge: Judge, breaker: Breaker, ceilings: Ceilings, clock: Clock,
        observer: Observer,
    ) -> None:  # fmt: skip
        self._store = store
        self._buffer = buffer
        self._outbox = outbox
        self._judge = judge
        self._breaker = breaker
        self._ceilings = ceilings
        self._clock = clock
        self._observer = observer
        self._next: Batch | None = None
        self.watch = Watch(clock)
        """Of the model run that is under way, not of the whole isolation."""
        self._preparer = Preparer(judge, breaker, self.watch)

    def step(self) -> Wait | None:
        """Run the next batch; None when one ran. Raises `StoreAway` with the batch kept for the next step."""
        if self._next is None:
            choice = self._buffer.take(self._outbox.quiet())
            if isinstance(choice, Wait):
                return choice
            self._next = choice
        lead = self._next.items[0].claim
        if self._breaker.is_wary(lead.model, lead.version):
            self._next = self._buffer.swap(self._next, lambda item: self._breaker.doubt(item.claim))
        batch = self._next
        if not self._breaker_is_open(batch):
            started = self._start(batch.items)
            self._next = None
            if started:
                self._run(started)
        self._next = None
        return None

    def release_next(self) -> None:
        """Drain: a batch that was taken and could not be started goes back."""
        if self._next is not None:
            self._outbox.put([Entry(item.delivery, Release()) for item in self._next.items])
            self._next = None

    def _breaker_is_open(self, batch: Batch) -> bool:
        lead = batch.items[0]
        if self._breaker.pause_left(lead.claim.model, lead.claim.version, lead.claim.tenant) <= 0:
            return False
        waiting = self._buffer.drop(lambda item: item.served is lead.served)
        self._outbox.put(
            [Entry(item.delivery, Release(self._breaker.back_in(item.claim))) for item in (*batch.items, *waiting)]
        )
        return True

    def _start(self, items: Sequence[Item]) -> list[Item]:
        """Count the start; those that may run. The others were canceled, expired, or are another worker's by now."""
        may_run = set(self._store.start([item.claim for item in items]))
        if len(may_run) == len(items):
            return list(items)
        self._outbox.put(
            [Entry(item.delivery, Release(), record=False) for item in items if item.claim.seq not in may_run]
        )
        return [item for item in items if item.claim.seq in may_run]

    def _run(self, items: list[Item]) -> None:
        served = items[0].served
        if items[0].prepared is None:  # a suspect: decoded only now, alone, after its start was counted
            items, refused = self._preparer.prepare(served, items)
            entries = [Entry(item.delivery, verdict) for item, verdict in refused]
            if not self.watch.answered(lambda: self._outbox.put(entries)) or not items:
                return
        began = self._clock.monotonic()
        outcomes = isolate(
            self._watched(served, items),
            [item.prepared.tensors for item in items if item.prepared is not None],
            on_ceiling=lambda size: self._ceilings.learn(items[0].group, size),
        )
        self.watch.goes_on(FINISHING)
        verdicts = self._judge.outcomes(served, items, outcomes)
        self._observer.batch(served.name, served.version, len(items), self._clock.monotonic() - began)
        self._hand_over(served, items, verdicts)

    def _watched(self, served: Served, items: list[Item]) -> Predict:
        def predict(inputs: Sequence[Tensors]) -> list[Tensors]:
            self.watch.begin(items, PREDICTING)
            return served.predict(inputs)

        return predict

    def _hand_over(self, served: Served, items: Sequence[Item], verdicts: Sequence[Verdict]) -> None:
        entries = [Entry(item.delivery, verdict) for item, verdict in zip(items, verdicts, strict=True)]
        if not self.watch.answered(lambda: self._outbox.put(entries)):
            return
        self._breaker.note(served.name, served.version, verdicts, [item.claim for item in items])
