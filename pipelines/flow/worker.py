"""One worker's parts, put together. Threads (workers/supervisor.py) or a simulation drive the steps."""

import random

from msgspec import Struct

from pipelines.clock import Clock
from pipelines.flow.breaker import ANSWER_HOLDS_S, Breaker
from pipelines.flow.buffer import Buffer
from pipelines.flow.ceilings import Ceilings
from pipelines.flow.credits import Credits
from pipelines.flow.depositing import Depositor
from pipelines.flow.device import Device
from pipelines.flow.fetching import Allowance, Fetcher
from pipelines.flow.heartbeat import Heartbeat
from pipelines.flow.held import Held
from pipelines.flow.intake import Intake
from pipelines.flow.judging import Judge
from pipelines.flow.observer import Observer
from pipelines.flow.outbox import Entry, Outbox
from pipelines.flow.recorder import Recorder
from pipelines.flow.served import Fleet
from pipelines.flow.sweeper import Sweeper, SweepPlan
from pipelines.flow.watch import timed_out
from pipelines.payloads.janitor import Janitor
from pipelines.payloads.port import Payloads
from pipelines.ports import Outlet, Queue
from pipelines.store.notices import Notices
from pipelines.store.port import Store
from schemas.envelope import INLINE_BYTES
from schemas.verdicts import Release


class Outside(Struct, frozen=True):
    """What a worker is connected to."""

    store: Store
    queue: Queue
    fleet: Fleet
    notices: Notices
    clock: Clock
    chance: random.Random
    observer: Observer
    outlet: Outlet | None = None
    payloads: Payloads | None = None
    """Where inputs and results are that rows do not hold; None: rows hold them all."""
    janitor: Janitor | None = None


class Plan(Struct, frozen=True):
    lease: float = 30.0
    """Seconds; the heartbeat extends it three times as often."""
    credits: int = 1024
    """Items held at once, waiting and running."""
    credit_bytes: int = 256 * 1024 * 1024
    sweep: SweepPlan = SweepPlan()
    inline: int = INLINE_BYTES
    """Bytes of a result that its row holds where there are payloads."""


class Worker:
    def __init__(self, outside: Outside, plan: Plan) -> None:
        store, queue, clock, observer = outside.store, outside.queue, outside.clock, outside.observer
        ceilings = Ceilings()
        self.credits = Credits(plan.credits, plan.credit_bytes)
        self.held = Held()
        self.outbox = Outbox(None if outside.payloads is None else plan.inline)
        self.buffer = Buffer(clock, lambda item: ceilings.most(item.group))
        self.judge = Judge(outside.chance)
        self.fetcher = _fetcher(outside, plan, self.outbox)
        self.depositor = None if outside.payloads is None else Depositor(outside.payloads, self.outbox)
        self.janitor = outside.janitor
        breaker = Breaker(clock, ANSWER_HOLDS_S, observer.circuit)
        self.intake = Intake(
            queue, store, outside.fleet, self.buffer, self.outbox, self.held, self.credits, self.judge, breaker, clock, observer,
            plan.lease, self.fetcher,
        )  # fmt: skip
        self.device = Device(store, self.buffer, self.outbox, self.judge, breaker, ceilings, clock, observer)
        self.recorder = Recorder(store, queue, self.outbox, self.held, self.credits, outside.notices, observer)
        self.heartbeat = Heartbeat(
            store, queue, self.held, self.buffer, self.outbox, clock, observer, plan.lease, self.fetcher
        )
        remove = (lambda refs: None) if self.janitor is None else self.janitor.put
        self.sweeper = Sweeper(store, outside.notices, observer, plan.sweep, outside.outlet, remove)

    def give_back(self) -> None:
        """Drain: what waits goes back, no attempt spent."""
        self.device.release_next()
        if self.fetcher is not None:
            self.fetcher.give_back()
        waiting = self.buffer.drop(lambda item: True)
        self.outbox.put([Entry(item.delivery, Release()) for item in waiting])

    def judge_stuck(self) -> dict[str, str]:
        """The threads, intake or device, in which a call of the model's code now turned out to take longer than
        limits.timeout_s, and what hangs there. Their items have their verdicts then."""
        stuck = {}
        for thread, watch in (("intake", self.intake.watch), ("device", self.device.watch)):
            running = watch.give_up()
            if running is not None:
                self.outbox.put(timed_out(running, self.judge))
                stuck[thread] = str(running)
        return stuck


def _fetcher(outside: Outside, plan: Plan, outbox: Outbox) -> Fetcher | None:
    if outside.payloads is None:
        return None
    allowance = Allowance(max(1, plan.credits // 2), plan.credit_bytes // 2)
    return Fetcher(outside.payloads, outbox, outside.clock, outside.chance, allowance)
