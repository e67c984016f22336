"""Real workers on a real queue behind a hostile client: each job comes to one end, and nothing is left (I1, I3, I4, I6)."""

import hashlib
import random
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from pipelines.clock import SystemClock
from pipelines.flow.observer import Unobserved
from pipelines.flow.sweeper import SweepPlan
from pipelines.flow.worker import Outside, Plan, Worker
from pipelines.ports import Message
from pipelines.queues.sqs_dead import DeadQueue
from pipelines.queues.sqs_outlet import SqsOutlet
from pipelines.sqs.names import Named
from pipelines.sqs.presence import Presence
from pipelines.store.opening import open_store
from pipelines.store.sql import SqlStore
from schemas.dead_letters import DeadLetterFilter, Replay
from schemas.jobs import Claim, Submission
from schemas.model_spec import Limits
from schemas.reasons import Reason
from schemas.states import State
from schemas.verdicts import Dead, Done, Verdict
from tests.contract.sqs_queues import SqsSide
from tests.flow.hostile_sqs import NO_FAULTS, Hostile
from tests.flow.world import Fleet, Kind, Model, answer
from tests.services.sqs_server import SqsServer
from workers.supervisor import Supervisor

SEED = 20_261_121
JOBS = 300
LEASE = 2
WITHIN = 60.0
PATIENT = Limits(max_attempts=20, max_deliveries=5, retry_base_s=0.05, retry_max_s=0.2)


class Counting(Unobserved):
    """Which ends were recorded, and counted."""

    def __init__(self) -> None:
        self.ends: Counter[str] = Counter()

    def recorded(self, verdicts: Sequence[tuple[Claim, Verdict]], refused: int) -> None:
        self.ends.update(claim.id for claim, verdict in verdicts if isinstance(verdict, Done | Dead))


class Silent:
    """Notices that wake nobody."""

    def work(self) -> None: ...
    def ended(self, ids: Sequence[str]) -> None: ...
    def listen(self, on_work: Any = None, on_ended: Any = None) -> Callable[[], None]:
        return lambda: None


def test_each_job_comes_to_one_end(sqs: SqsServer, tmp_path: Path) -> None:
    hostile = Hostile(sqs.client, SEED)
    side = SqsSide(sqs, sqs.fresh_queue(), LEASE)
    store = open_store(f"sqlite:///{tmp_path}/store.db", broker=True)
    counting, given = Counting(), submissions(JOBS)
    with serving(store, side, hostile, counting), serving(store, side, hostile, counting):
        store.submit(given)  # sweeping sends them
        eventually(lambda: store.backlog(1) == 0, lambda: f"{store.backlog(JOBS)} jobs are open")
        eventually(lambda: sqs.count(side.url) == (0, 0), lambda: f"{sqs.count(side.url)} messages are left")
    check(store, given)
    assert counting.ends == Counter([each.id for each in given]), "an end was recorded more or less than once"
    assert all(hostile.done[fault] for fault in ("duplicate", "late", "send failed", "delete failed")), hostile.done
    side.close()
    store.close()


def test_what_sqs_gave_up_is_a_dead_letter_and_can_be_replayed(sqs: SqsServer, tmp_path: Path) -> None:
    calm = Hostile(sqs.client, SEED, NO_FAULTS)
    side, given_up = SqsSide(sqs, sqs.fresh_queue(), LEASE), SqsSide(sqs, sqs.fresh_queue())
    store = open_store(f"sqlite:///{tmp_path}/store.db", broker=True)
    given = submissions(3)
    store.submit(given)
    store.stamp_sent(store.to_send(3, 30.0, 3600.0))  # and then nobody ever answered
    store.cancel(None, ["job-2"])
    assert all(given_up.outlet.send([*(Message(each.id, 0) for each in given), Message("nobody", 0)]))
    with serving(store, side, calm, Counting(), DeadQueue(given_up.url, 100)):
        eventually(lambda: store.backlog(1) == 0, lambda: f"{store.backlog(3)} jobs are open")
        eventually(lambda: sqs.count(given_up.url) == (0, 0), lambda: f"{sqs.count(given_up.url)} messages are left")
        letters = store.dead_letters(None, DeadLetterFilter(), 10).items
        assert {(each.id, each.reason) for each in letters} == {(id, Reason.GIVEN_UP) for id in ("job-0", "job-1")}
        assert store.replay(None, [Replay("job-0", 0)]) == ["job-0"]
        eventually(lambda: store.backlog(1) == 0, lambda: "the replay is open")
    views: Any = store.read(None, [each.id for each in given])
    assert [views[each.id].state for each in given] == [State.SUCCEEDED, State.FAILED, State.CANCELED]
    for each in (side, given_up):
        each.close()
    store.close()


def submissions(count: int) -> list[Submission]:
    made = []
    for n in range(count):
        kind = Kind.UNDECODABLE if n % 50 == 7 else Kind.FLAKY if n % 10 == 3 else Kind.GOOD
        inputs = msgspec.json.encode({"kind": kind, "x": n})
        made.append(Submission(f"job-{n}", "default", "m", "1", inputs, hashlib.sha256(inputs).digest()))
    return made


def check(store: SqlStore, given: Sequence[Submission]) -> None:
    views = store.read(None, [each.id for each in given])
    for n, each in enumerate(given):
        view: Any = views[each.id]
        if n % 50 == 7:
            assert view.state is State.FAILED
        else:
            assert (view.state, view.result) == (State.SUCCEEDED, str(answer(n)).encode())


@contextmanager
def serving(
    store: SqlStore, side: SqsSide, hostile: Hostile, counting: Counting, dead: DeadQueue | None = None
) -> Iterator[None]:
    """A worker in threads of this process."""
    queue = side.receiver(hostile, dead=dead)
    named = Named(side.url.rpartition("/")[2])
    outlet = SqsOutlet(hostile, lambda model: named, lambda: uuid.uuid4().hex, Presence(side.told.append), side.losses)
    model = Model(random.Random(SEED), limits=PATIENT)
    outside = Outside(store, queue, Fleet(model), Silent(), SystemClock(), random.Random(SEED), counting, outlet)
    worker = Worker(outside, Plan(LEASE, credits=64, sweep=SweepPlan(interval=0.2, resend_after=3.0)))
    supervisor = Supervisor(worker, Silent(), grace=10.0)
    thread = threading.Thread(target=supervisor.run)
    thread.start()
    try:
        yield
    finally:
        supervisor.stop()
        thread.join()
        outlet.close()


def eventually(look: Callable[[], bool], why: Callable[[], str]) -> None:
    until = time.monotonic() + WITHIN
    while not look():
        assert time.monotonic() < until, why()
        time.sleep(0.05)
