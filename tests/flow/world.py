"""A small world under a virtual clock: a store, a broker and workers that are stepped, crashed, frozen and drained by a
seeded scheduler. Everything in it is the real flow; only time, threads and the outside are made up."""

import hashlib
import itertools
import random
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct

from pipelines.flow.breaker import Moved
from pipelines.flow.served import HookFailed, InvalidOutput, Prepared
from pipelines.flow.sweeper import SweepPlan
from pipelines.flow.worker import Outside, Plan, Worker
from pipelines.payloads import keys
from pipelines.payloads.janitor import Janitor
from pipelines.payloads.memory import MemoryPayloads
from pipelines.payloads.port import PayloadsAway
from pipelines.ports import InvalidInput, OutOfMemory, Tensors
from pipelines.queues.memory import NO_FAULTS, Faults, MemoryQueue
from pipelines.queues.store_queue import StoreQueue
from pipelines.store.memory import MemoryStore, Row
from schemas.dead_letters import DeadLetterFilter, Replay
from schemas.jobs import Claim, Submission
from schemas.model_spec import Batching, Limits
from schemas.states import MOVES, State
from schemas.verdicts import Verdict

LEASE = 30.0
CARRYING = ("fetch", "deposit")
"""Steps that touch no row."""


class Crash(BaseException):
    """The process is gone, in the middle of what it did."""


class Time:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now


class Kind:
    """What an input is, by its `kind`: a pure model f(x) = 2x + 1 and the ways to misbehave."""

    GOOD, UNDECODABLE, POISON, FLAKY, KILLER, KILLER_DECODE, HUNGRY, NAN = range(8)


class Model(Struct):
    """Deterministic, so that a result crossed between two jobs is found out."""

    chance: random.Random
    name: str = "m"
    version: str = "1"
    limits: Limits = Limits(max_attempts=3, max_deliveries=5, retry_base_s=1.0, retry_max_s=5.0)
    batching: Batching = Batching(max_batch_size=8)
    hooked: bool = False
    runs: int = 0
    largest: int = 6
    """The device runs out of memory beyond this."""

    def prepare(self, raws: Sequence[bytes]) -> list[Prepared | InvalidInput | HookFailed]:
        return [self._prepare(raw) for raw in raws]

    def _prepare(self, raw: bytes) -> Prepared | InvalidInput:
        given = msgspec.json.decode(raw)
        if given["kind"] == Kind.KILLER_DECODE:
            raise Crash
        if given["kind"] == Kind.UNDECODABLE:
            return InvalidInput("inputs.x: expected float32, got string")
        return Prepared({"x": np.array([given["x"], given["kind"]])}, cost=float(1 + given["x"] % 3))

    def predict(self, inputs: Sequence[Tensors]) -> list[Tensors]:
        self.runs += 1
        kinds = [int(item["x"][1]) for item in inputs]
        if Kind.KILLER in kinds:
            raise Crash
        if len(inputs) > self.largest or (Kind.HUNGRY in kinds and len(inputs) > 1):
            raise OutOfMemory("no room")
        if Kind.POISON in kinds:
            raise ValueError("poison")
        if Kind.FLAKY in kinds and self.chance.random() < 0.5:
            raise ValueError("flaky")
        return [{"y": np.array([answer(int(item["x"][0])), item["x"][1]])} for item in inputs]

    def finish(self, outputs: Sequence[Tensors]) -> list[bytes | InvalidOutput]:
        return [
            InvalidOutput("y: NaN") if output["y"][1] == Kind.NAN else msgspec.json.encode(int(output["y"][0]))
            for output in outputs
        ]


def answer(x: int) -> int:
    return 2 * x + 1


class Fleet(Struct):
    model: Model

    @property
    def models(self) -> Sequence[str]:
        return ("m",)

    def find(self, model: str, version: str) -> Model | None:
        return self.model if (model, version) == ("m", "1") else None


class Notices:
    def __init__(self) -> None:
        self.ids: list[str] = []

    def work(self) -> None: ...

    def ended(self, ids: Sequence[str]) -> None:
        self.ids.extend(ids)

    def listen(self, on_work: Any = None, on_ended: Any = None) -> Any: ...


class Watching(MemoryStore):
    """Checks every move of every row against the state table as it happens."""

    def __init__(self, now: Any, broker: bool) -> None:
        super().__init__(now, broker)
        self.seen: dict[int, tuple[State, int, int, bytes | str | None]] = {}

    def check(self) -> None:
        for row in list(self.rows.values()):
            before = self.seen.get(row.seq)
            now = (row.state, row.generation, row.fence, row.result_ref or row.result)
            if before == now:
                continue
            if before is not None:
                check_move(row, *before)
            self.seen[row.seq] = now


def visible(row: Row) -> bytes | str | None:
    """The result, or the name of where it is."""
    return row.result_ref or row.result


def check_move(row: Row, state: State, generation: int, fence: int, result: bytes | str | None) -> None:
    assert row.fence >= fence, "a fence fell (I5)"
    assert row.generation in (generation, generation + 1)
    if row.state is not state and not (state is State.RUNNING and row.state in MOVES[State.RUNNING]):
        # Between two looks a queued row may have run to its end: through running.
        via = {after for middle in MOVES[state] for after in MOVES[middle]} | MOVES[state]
        assert row.state in via, f"{state} → {row.state}"
    if state is State.SUCCEEDED:
        assert (row.state, row.generation, visible(row)) == (state, generation, result), "a result changed (I3)"
    if state in (State.CANCELED, State.EXPIRED):
        assert (row.state, row.generation) == (state, generation), "a terminal state did not absorb"
    if row.generation > generation:
        assert state is State.FAILED, "only what failed is replayed (I7)"


class Observed:
    """Checks that each verdict that counted was of the row's newest claim, and the only one of it (I4, I5)."""

    def __init__(self, store: MemoryStore) -> None:
        self.store = store
        self.verdicts: list[tuple[Claim, Verdict]] = []
        self.circuits: list[Moved] = []
        self.counted: set[tuple[int, int]] = set()

    def claimed(self, claims: Sequence[Claim]) -> None: ...
    def batch(self, model: str, version: str, size: int, seconds: float) -> None: ...
    def recorded(self, verdicts: Sequence[tuple[Claim, Verdict]], refused: int) -> None:
        self.verdicts.extend(verdicts)
        for claim, _ in verdicts:
            row = self.store.rows.get(claim.seq)
            assert row is None or row.fence == claim.fence, "a write with an older fence counted (I5)"
            assert (claim.seq, claim.fence) not in self.counted, "a claim was answered twice (I4)"
            self.counted.add((claim.seq, claim.fence))

    def circuit(self, moved: Moved) -> None:
        self.circuits.append(moved)

    def trouble(self, what: str) -> None: ...


class World:
    def __init__(
        self, seed: int, broker: bool, faults: Faults = NO_FAULTS, workers: int = 2, away_rate: float | None = None
    ) -> None:
        """`away_rate`: how often payloads cannot be reached, where every other input and every result is one; None: none is."""
        self.chance = random.Random(seed)
        self.time = Time()
        self.store = Watching(self.time, broker)
        self.queue = MemoryQueue(self.time, self.chance, faults, LEASE) if broker else None
        self.notices = Notices()
        self.observed = Observed(self.store)
        self.model = Model(self.chance)
        self.numbers = itertools.count()
        self.kinds: dict[str, tuple[int, int]] = {}
        self.away_rate = away_rate
        self.payloads = None if away_rate is None else MemoryPayloads(self.time, self._payloads_fault)
        self.crash_rate = 0.0
        self.crashes = 0
        self.workers = [self.new_worker() for _ in range(workers)]

    def new_worker(self) -> Worker:
        queue = StoreQueue(self.store, ("m",), LEASE, most=64, most_bytes=1 << 20) if self.queue is None else self.queue
        outside = Outside(
            self.store, queue, Fleet(self.model), self.notices, self.time, self.chance, self.observed, self.queue,
            self.payloads, self.janitor,
        )  # fmt: skip
        plan = Plan(lease=LEASE, credits=24, sweep=SweepPlan(resend_after=600.0), inline=0)
        worker = Worker(outside, plan)
        worker.recorder.crash_point = lambda point: self.maybe_crash()
        return worker

    @property
    def janitor(self) -> Janitor | None:
        if self.payloads is None:
            return None
        return Janitor(self.payloads, self.payloads, self.store, self.time, lambda line: None)

    def _payloads_fault(self, key: str) -> None:
        if self.chance.random() < (self.away_rate or 0.0):
            raise PayloadsAway(f"payload {key}: away")
        self.maybe_crash()

    def maybe_crash(self) -> None:
        if self.chance.random() < self.crash_rate:
            raise Crash

    def submit(self, kind: int, tenant: str = "default", **changes: Any) -> str:
        x = next(self.numbers)
        inputs = msgspec.json.encode({"kind": kind, "x": x})
        id = f"job-{x}"
        digest = hashlib.sha256(inputs).digest()
        self.kinds[id] = (kind, x)
        if self.payloads is not None and x % 2:
            ref = keys.of_input(tenant, id, 0, inputs)
            self.payloads.hold(ref, inputs)
            changes |= {"inputs_ref": ref, "referred": len(inputs)}
            inputs = b""
        self.store.submit([Submission(id, tenant, "m", "1", inputs, digest, **changes)])
        return id

    def step(self, worker: Worker, name: str) -> None:
        """One step of one part; a crash takes the whole worker and starts a fresh one."""
        try:
            self.maybe_crash()
            match name:
                case "intake":
                    worker.intake.step()
                case "device":
                    worker.device.step()
                case "recorder":
                    worker.recorder.step()
                case "heartbeat":
                    worker.heartbeat.step()
                case "fetch":
                    assert worker.fetcher is not None
                    worker.fetcher.step()
                case "deposit":
                    assert worker.depositor is not None
                    with suppress(PayloadsAway):
                        worker.depositor.step()
                case "sweeper":
                    worker.sweeper.step()
                case "drain":
                    worker.give_back()
                    worker.outbox.release_large()
                    while worker.recorder.step():
                        pass
                    worker.outbox.release_large()
                    while worker.recorder.step():
                        pass
                    self.replace(worker)
            self.maybe_crash()
        except Crash:
            self.crashes += 1
            self.replace(worker)
        if name not in CARRYING:
            self.store.check()

    @property
    def steps(self) -> tuple[str, ...]:
        """Of those who carry payloads."""
        return () if self.payloads is None else CARRYING * 4

    def replace(self, worker: Worker) -> None:
        if worker in self.workers:
            self.workers[self.workers.index(worker)] = self.new_worker()

    def run_to_rest(self, most_rounds: int = 4000) -> None:
        """Without further faults from the scheduler, until nothing is open: everything must come to an end."""
        for round in range(most_rounds):
            if not any(row.state in (State.QUEUED, State.RUNNING) for row in self.store.rows.values()):
                return
            for worker in list(self.workers):
                for name in (*self.steps, "sweeper", "intake", "device", "recorder", "heartbeat"):
                    if worker in self.workers:
                        self.step(worker, name)
            self.time.now += 1.0 if round < 60 else 20.0
        open_rows = [row for row in self.store.rows.values() if row.state in (State.QUEUED, State.RUNNING)]
        raise AssertionError(f"{len(open_rows)} jobs never ended, e.g. {open_rows[0]}")

    def replay_all(self) -> None:
        letters = self.store.dead_letters(None, DeadLetterFilter(), 1000).items
        self.store.replay(None, [Replay(letter.id, letter.generation) for letter in letters])

    def row(self, id: str) -> Row:
        return next(row for row in self.store.rows.values() if row.given.id == id)

    def check_results(self) -> None:
        for row in self.store.rows.values():
            kind, x = self.kinds[row.given.id]
            if row.state is State.SUCCEEDED:
                result = row.result
                if row.result_ref is not None:
                    assert self.payloads is not None
                    result = self.payloads.held[row.result_ref]
                assert result == str(answer(x)).encode(), f"job {row.given.id} has another's result"
                assert kind in (Kind.GOOD, Kind.FLAKY, Kind.HUNGRY)
            if row.state is State.FAILED:
                assert row.reason is not None
                assert row.error
                assert kind != Kind.GOOD, f"{row.given.id} is good and failed: {row.reason}: {row.error}"
