"""The stream lane under fire, on a real broker: output ⊎ dead letters = input, exactly once, in order per key."""

import itertools
import signal
import time
from collections.abc import Sequence

import pytest

from tests.e2e.probe import Kind
from tests.e2e.processes import Forebay, eventually
from tests.services.broker import Broker
from tests.services.kafka import Kafka
from tests.stream.stage import StreamStage, stream_stage
from tests.stream.topics import Given, bad, feed, feeding, good, of_kind

RECORDS = 100_000
PER_SECOND = 3_000
KILL_EVERY_S = 5.0


def with_poison(n: int) -> Given:
    """One in a hundred does not decode, has no value, or has another shape."""
    return bad(n, (b"\xff\xfe", None, b'{"x": [1]}')[n // 100 % 3]) if n % 100 == 42 else good(n)


@pytest.mark.timeout(240)
def test_a_hundred_thousand_records_through_kills_and_a_broker_restart() -> None:
    given = [with_poison(n) for n in range(RECORDS)]
    with Kafka.start() as broker, stream_stage(broker, partitions=6) as on:
        workers = [on.start().ready() for _ in range(3)]
        with feeding(broker, on.topic, given, PER_SECOND) as feeder:
            for kills in itertools.count(1):
                feeder.join(KILL_EVERY_S)
                if not feeder.is_alive():
                    break
                if kills == 3:
                    broker.restart()
                workers[kills % 3].kill()
                workers[kills % 3] = on.start()
        assert kills > 4, "the kills missed the records"
        eventually(lambda: on.progress.left() == 0, 60, lambda: _why(on, broker, workers), every=0.5)
        for worker in workers:
            assert worker.ready().stop() == 0, worker.complained
        on.check(given, {n for n in range(RECORDS) if n % 100 == 42})


@pytest.mark.timeout(120)
def test_partitions_of_a_killed_worker_move_within_fifteen_seconds(kafka: Broker) -> None:
    with stream_stage(kafka) as on:
        workers = [on.start().ready() for _ in range(2)]
        feed(kafka, on.topic, [good(n) for n in range(1000)])
        eventually(lambda: on.progress.left() == 0, 30, every=0.1)
        workers[0].kill()
        began = time.monotonic()
        given = [good(n) for n in range(2000)]
        feed(kafka, on.topic, given[1000:])
        eventually(lambda: on.progress.left() == 0, 15, lambda: f"{on.progress.left()} records left", every=0.1)
        assert time.monotonic() - began < 15
        assert workers[1].stop() == 0
        on.check(given, set())


@pytest.mark.timeout(120)
def test_a_worker_frozen_past_its_session_changes_nothing_when_it_thaws(kafka: Broker) -> None:
    given = [good(n) for n in range(6000)]
    with stream_stage(kafka) as on:
        frozen = on.start("--commit-interval-ms", "1000").ready()
        with feeding(kafka, on.topic, given, 400):
            eventually(lambda: on.progress.total() > 200, 20)
            frozen.signal(signal.SIGSTOP)
            beside = on.start("--instance", "beside").ready()
            before = on.progress.total()
            eventually(lambda: on.progress.total() > before + 500, 30, lambda: "nobody took over")
            frozen.signal(signal.SIGCONT)
        eventually(lambda: on.progress.left() == 0, 40, every=0.2)
        assert beside.stop() == 0, beside.complained
        assert frozen.stop() == 0, frozen.complained
        on.check(given, set())


@pytest.mark.timeout(120)
def test_a_second_process_of_one_instance_fences_the_first(kafka: Broker) -> None:
    """The lock under home keeps them apart on one machine; two homes are two machines."""
    given = [good(n) for n in range(2000)]
    with stream_stage(kafka) as on:
        first = on.start("--instance", "one").ready()
        with feeding(kafka, on.topic, given, 200):
            eventually(lambda: on.progress.total() > 100, 20)
            second = on.start("--instance", "one", HOME=str(on.place.folder / "elsewhere")).ready()
            assert first.wait(40) == 1
            assert "another process runs as this instance" in first.complained.splitlines()[-1], first.complained
        eventually(lambda: on.progress.left() == 0, 40, every=0.2)
        assert second.stop() == 0
        on.check(given, set())


@pytest.mark.timeout(180)
def test_a_record_that_aborts_its_process_ends_in_the_dead_letters(kafka: Broker) -> None:
    given = [of_kind(n, Kind.ABORT) if n == 77 else good(n) for n in range(200)]
    with stream_stage(kafka, partitions=2, model={"max_deliveries": 2}) as on:
        feed(kafka, on.topic, given)
        codes = [_run_to_its_end(on) for _ in range(4)]
        assert codes == [-signal.SIGABRT, -signal.SIGABRT, 0, 0]
        _, letters = on.check(given, {77})
        assert letters[0].headers["forebay.dlq.reason"] == b"crashed"


@pytest.mark.timeout(180)
def test_a_record_that_aborts_is_known_on_another_machine(kafka: Broker) -> None:
    """A pod that is moved has no file: what was started is read from the group `<group>.starts`."""
    given = [of_kind(n, Kind.ABORT) if n == 5 else good(n) for n in range(40)]
    with stream_stage(kafka, partitions=1, model={"max_deliveries": 2}) as on:
        feed(kafka, on.topic, given)
        codes = [_run_to_its_end(on, HOME=str(on.place.folder / f"pod-{pod}")) for pod in range(4)]
        assert codes[-1] == 0
        assert codes.count(-signal.SIGABRT) <= 3
        on.check(given, {5})


@pytest.mark.timeout(150)
def test_workers_come_and_go_and_records_move_on(kafka: Broker) -> None:
    given = [good(n) for n in range(8000)]
    with stream_stage(kafka, partitions=6) as on:
        workers: list[Forebay] = [on.start().ready()]
        with feeding(kafka, on.topic, given, 400) as feeder:
            for change in itertools.count():
                feeder.join(3.0)
                if not feeder.is_alive():
                    break
                if change % 2:
                    leaving = workers.pop(0).ready()
                    assert leaving.stop() == 0, leaving.complained
                else:
                    workers.append(on.start())
        eventually(lambda: on.progress.left() == 0, 40, lambda: f"{on.progress.left()} left", every=0.2)
        for worker in workers:
            assert worker.ready().stop() == 0, worker.complained
        on.check(given, set())


def _why(on: StreamStage, broker: Kafka, workers: Sequence[Forebay]) -> str:
    said = [f"{on.progress.left()} records left; {on.progress.trouble}", broker.log[-2000:]]
    return "\n".join([*said, *(worker.complained[-1500:] for worker in workers)])


def _run_to_its_end(on: StreamStage, **settings: str) -> int:
    return on.start("--until-drained", **settings).wait(60)
