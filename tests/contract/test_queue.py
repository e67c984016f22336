"""The queue's contract (pipelines/ports.py), the same over memory, the store, Kafka and SQS."""

import hashlib
import itertools
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import pytest

from pipelines.ports import Delivery, Message, Queue
from pipelines.queues.memory import MemoryQueue
from pipelines.queues.store_queue import StoreQueue
from pipelines.store.opening import open_store
from pipelines.store.sql import SqlStore
from schemas.jobs import Claim, Submission
from schemas.reasons import Reason
from schemas.verdicts import Done, Release, Retry, Verdict

LEASE = 30.0
WITHIN = 45.0
"""Seconds that a broker may take to deliver; nothing waits so long when all is well."""
QUIET = 0.3
"""What has not come after this does not come."""
DONE = Done(b"{}")
BROKERS = ("kafka", "sqs")
"""Kinds whose messages come by themselves, in threads of their own."""


class Subject(Protocol):
    """A broker, its sending side, and receivers of it."""

    def receiver(self) -> Queue: ...

    def put(self, count: int) -> list[str]:
        """Send so many jobs; their ids."""
        ...

    def settle(self, queue: Queue, settled: Sequence[tuple[Delivery, Verdict]]) -> None:
        """As the recorder does: record, then settle."""
        ...

    def crash(self, queue: Queue) -> None:
        """This receiver is gone, with all that it held, and as much time has passed as the broker needs to know."""
        ...

    def due(self, seconds: float) -> None:
        """Time passes, and what is due and has no message is sent again."""
        ...


class OnMemory:
    def __init__(self) -> None:
        self.time = 1000.0
        self.queue = MemoryQueue(lambda: self.time, random.Random(7), visibility=LEASE)
        self.numbers = itertools.count()
        self.unsent: list[Message] = []

    def receiver(self) -> Queue:
        return self.queue

    def put(self, count: int) -> list[str]:
        ids = [f"job-{next(self.numbers)}" for _ in range(count)]
        assert self.queue.send([Message(id, 0, b"{}") for id in ids]) == [True] * count
        return ids

    def settle(self, queue: Queue, settled: Sequence[tuple[Delivery, Verdict]]) -> None:
        queue.settle(settled)
        # It keeps delays itself; what goes back at once is left to the sweeper, as with every broker.
        now = [d.message for d, v in settled if isinstance(v, Retry | Release) and v.delay == 0]
        self.unsent += [message for message in now if message is not None]

    def crash(self, queue: Queue) -> None:
        self.time += LEASE + 1

    def due(self, seconds: float) -> None:
        self.time += seconds
        self.queue.send(self.unsent)
        self.unsent = []


class Rows:
    """The store beside the queue: where jobs are submitted and verdicts recorded."""

    def __init__(self, store: SqlStore) -> None:
        self.store = store
        self.numbers = itertools.count()

    def submit(self, count: int) -> list[Submission]:
        given = [
            Submission(f"job-{n}", "default", "m", "1", b"{}", hashlib.sha256(b"%d" % n).digest())
            for n in itertools.islice(self.numbers, count)
        ]
        self.store.submit(given)
        return given

    def record(self, settled: Sequence[tuple[Delivery, Verdict]]) -> None:
        verdicts: list[tuple[Claim, Verdict]] = [(d.claim, v) for d, v in settled if d.claim is not None]
        self.store.record(verdicts)


class OnStore:
    def __init__(self, store: SqlStore) -> None:
        self.rows = Rows(store)

    def receiver(self) -> Queue:
        return StoreQueue(self.rows.store, ["m"], LEASE, most=1000, most_bytes=1 << 20)

    def put(self, count: int) -> list[str]:
        return [given.id for given in self.rows.submit(count)]

    def settle(self, queue: Queue, settled: Sequence[tuple[Delivery, Verdict]]) -> None:
        self.rows.record(settled)
        queue.settle(settled)

    def crash(self, queue: Queue) -> None:
        self.rows.store.db.skew += LEASE + 1

    def due(self, seconds: float) -> None:
        self.rows.store.db.skew += seconds


class Side(Protocol):
    """A broker's."""

    outlet: Any

    def receiver(self) -> Queue: ...
    def crash(self, queue: Queue) -> None: ...
    def close(self) -> None: ...


class OnBroker:
    """Claims and records as the intake and the recorder do, for the store has the due times."""

    def __init__(self, side: Side, store: SqlStore) -> None:
        self.side = side
        self.rows = Rows(store)

    def receiver(self) -> Queue:
        return self.side.receiver()

    def put(self, count: int) -> list[str]:
        ids = [given.id for given in self.rows.submit(count)]
        self._send()
        return ids

    def settle(self, queue: Queue, settled: Sequence[tuple[Delivery, Verdict]]) -> None:
        messages = [delivery.message for delivery, _ in settled if delivery.message is not None]
        claims = {claim.id: claim for claim in self.rows.store.claim(messages, ["m"], LEASE)[0]}
        verdicts = [(claims[id], v) for d, v in settled if (id := identity(d)) in claims]
        self.rows.store.record(verdicts)
        queue.settle(settled)

    def crash(self, queue: Queue) -> None:
        self.side.crash(queue)

    def due(self, seconds: float) -> None:
        self.rows.store.db.skew += seconds
        self._send()

    def _send(self) -> None:
        messages = self.rows.store.to_send(1000, 0.0, 3600.0)
        confirmed = self.side.outlet.send(messages)
        assert all(confirmed)
        self.rows.store.stamp_sent(messages)

    def close(self) -> None:
        self.side.close()


@pytest.fixture(params=["memory", "sqlite", "postgres", "kafka", "sqs"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def subject(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Subject]:
    if kind == "memory":
        yield OnMemory()
        return
    url = request.getfixturevalue("postgres_url") if kind == "postgres" else f"sqlite:///{tmp_path}/store.db"
    store = open_store(url, broker=kind in BROKERS)
    if kind not in BROKERS:
        yield OnStore(store)
        store.close()
        return
    subject = OnBroker(side_of(kind, request), store)
    yield subject
    subject.close()
    store.close()


def side_of(kind: str, request: pytest.FixtureRequest) -> Any:
    if kind == "sqs":
        from tests.contract.sqs_queues import SqsSide

        sqs = request.getfixturevalue("sqs")
        return SqsSide(sqs, sqs.fresh_queue())
    from tests.contract.kafka_queues import KafkaSide

    kafka = request.getfixturevalue("plain_kafka")
    return KafkaSide(kafka.bootstrap, kafka.fresh_topic(partitions=3))


def identity(delivery: Delivery) -> str:
    named = delivery.claim or delivery.message
    assert named is not None
    return named.id


def ids(deliveries: Sequence[Delivery]) -> list[str]:
    return sorted(identity(delivery) for delivery in deliveries)


def receive(queue: Queue, count: int, most: int = 1000) -> list[Delivery]:
    """Until `count` have come."""
    got: list[Delivery] = []
    until = time.monotonic() + WITHIN
    while len(got) < count:
        assert time.monotonic() < until, f"{len(got)} of {count} came within {WITHIN:g} s"
        got += queue.receive(most)
        time.sleep(0.002)
    return got


def rest(queue: Queue, kind: str) -> list[Delivery]:
    """What still comes."""
    if kind not in BROKERS:
        return queue.receive(1000)
    until = time.monotonic() + QUIET
    got: list[Delivery] = []
    while time.monotonic() < until:
        got += queue.receive(1000)
        time.sleep(0.01)
    return got


def settle_all(subject: Subject, queue: Queue, deliveries: Sequence[Delivery], verdict: Verdict = DONE) -> None:
    subject.settle(queue, [(delivery, verdict) for delivery in deliveries])


class TestReceive:
    def test_what_was_sent_comes_once(self, subject: Subject, kind: str) -> None:
        sent = subject.put(50)
        queue = subject.receiver()
        assert ids(receive(queue, 50)) == sorted(sent)
        assert rest(queue, kind) == []

    def test_never_more_than_asked_for(self, subject: Subject) -> None:
        subject.put(10)
        queue = subject.receiver()
        parts: list[int] = []
        while sum(parts) < 10:
            parts.append(len(queue.receive(3)))
            time.sleep(0.001)
        assert max(parts) <= 3

    def test_an_empty_queue_answers_at_once(self, subject: Subject) -> None:
        queue = subject.receiver()
        begun = time.monotonic()
        assert queue.receive(10) == []
        assert time.monotonic() - begun < 1.5

    def test_what_is_sent_while_one_waits_comes(self, subject: Subject) -> None:
        queue = subject.receiver()
        for _ in range(3):
            (sent,) = subject.put(1)
            got = receive(queue, 1)
            assert ids(got) == [sent]
            settle_all(subject, queue, got)


class TestSettle:
    def test_what_is_settled_never_comes_again(self, subject: Subject, kind: str) -> None:
        subject.put(20)
        queue = subject.receiver()
        settle_all(subject, queue, receive(queue, 20))
        subject.crash(queue)
        assert rest(subject.receiver(), kind) == []

    def test_what_is_not_settled_comes_again_after_a_crash(self, subject: Subject) -> None:
        sent = subject.put(20)
        queue = subject.receiver()
        receive(queue, 20)
        subject.crash(queue)
        assert set(ids(receive(subject.receiver(), 20))) == set(sent)

    def test_what_is_settled_out_of_order_never_hides_what_is_not(self, subject: Subject, kind: str) -> None:
        sent = subject.put(30)
        queue = subject.receiver()
        got = sorted(receive(queue, 30), key=lambda delivery: int(identity(delivery).removeprefix("job-")))
        kept = [delivery for n, delivery in enumerate(got) if n % 7 == 3]
        settle_all(subject, queue, [delivery for delivery in reversed(got) if delivery not in kept])
        subject.crash(queue)
        again = subject.receiver()
        found = {identity(delivery) for delivery in [*receive(again, len(kept)), *rest(again, kind)]}
        assert set(ids(kept)) <= found <= set(sent)

    def test_settling_twice_does_nothing(self, subject: Subject, kind: str) -> None:
        subject.put(2)
        queue = subject.receiver()
        one, other = receive(queue, 2)
        settle_all(subject, queue, [one])
        settle_all(subject, queue, [one, one])
        subject.crash(queue)
        again = subject.receiver()
        assert identity(other) in {identity(delivery) for delivery in receive(again, 1)}

    def test_a_stale_receipt_takes_nothing_from_its_new_holder(self, subject: Subject) -> None:
        (sent,) = subject.put(1)
        first = subject.receiver()
        stale = receive(first, 1)
        subject.crash(first)
        second = subject.receiver()
        held = receive(second, 1)
        first.settle([(delivery, DONE) for delivery in stale])
        assert second.extend(held) == held
        subject.crash(second)
        assert ids(receive(subject.receiver(), 1)) == [sent]

    @pytest.mark.parametrize("verdict", [Retry(Reason.MODEL_ERROR, "boom", 5.0), Release(5.0), Release()])
    def test_what_goes_back_comes_again_when_it_is_due(self, subject: Subject, verdict: Retry | Release) -> None:
        sent = subject.put(5)
        queue = subject.receiver()
        settle_all(subject, queue, receive(queue, 5), verdict)
        subject.due(verdict.delay + 1.0)
        got = receive(queue, 5)
        assert ids(got) == sorted(sent)
        settle_all(subject, queue, got)


class TestExtend:
    def test_what_is_held_is_held(self, subject: Subject) -> None:
        subject.put(5)
        queue = subject.receiver()
        got = receive(queue, 5)
        assert queue.extend(got) == got
        assert queue.extend([]) == []

    def test_what_was_lost_is_missing(self, subject: Subject, kind: str) -> None:
        if kind in ("sqlite", "postgres"):
            pytest.skip("the store's own extend, one step earlier, tells")
        subject.put(5)
        queue = subject.receiver()
        got = receive(queue, 5)
        subject.crash(queue)
        receive(subject.receiver(), 5)
        assert queue.extend(got) == []


class TestTogether:
    def test_two_receivers_share_and_nothing_is_lost(self, subject: Subject, kind: str) -> None:
        queues = [subject.receiver(), subject.receiver()]
        sent = set(subject.put(200))
        found: list[str] = []
        until = time.monotonic() + WITHIN
        while set(found) < sent and time.monotonic() < until:
            for queue in queues:
                got = queue.receive(17)
                found += map(identity, got)
                settle_all(subject, queue, got)
            time.sleep(0.002)
        assert set(found) == sent
        assert [rest(queue, kind) for queue in queues] == [[], []]

    def test_settle_and_extend_beside_receive(self, subject: Subject) -> None:
        sent = subject.put(300)
        queue = subject.receiver()
        handed: list[list[Delivery]] = []
        faults: list[BaseException] = []
        over = threading.Event()

        def beside(step: Callable[[list[Delivery]], object]) -> None:
            try:
                while not (over.is_set() and not handed):
                    if handed:
                        step(handed.pop())
                    over.wait(0.001)
            except BaseException as fault:  # noqa: BLE001  # shown below
                faults.append(fault)

        def settling(batch: list[Delivery]) -> None:
            assert queue.extend(batch) == batch
            settle_all(subject, queue, batch)

        threads = [threading.Thread(target=beside, args=(settling,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        found: list[str] = []
        until = time.monotonic() + WITHIN
        while len(found) < 300 and time.monotonic() < until:
            if got := queue.receive(11):
                found += map(identity, got)
                handed.append(got)
        over.set()
        for thread in threads:
            thread.join()
        assert faults == []
        assert sorted(found) == sorted(sent)
