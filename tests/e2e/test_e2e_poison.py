"""Poison: an item that raises, kills or hangs costs its neighbours nothing, and ends in the dead letters with its reason."""

import msgspec
import pytest

from pipelines.store.opening import open_store
from schemas.dead_letters import Replay
from schemas.states import State
from tests.e2e import probe
from tests.e2e.checker import Expected
from tests.e2e.clients import submit_all
from tests.e2e.probe import Kind
from tests.e2e.processes import Forebay, eventually
from tests.e2e.stage import Ground, Stage, stage
from tests.services.broker import Broker

AROUND = range(1, 33)
POISON = 17
RAISES: Expected = {Kind.ERROR: (State.FAILED, "model_error")}


def _submit(on: Stage, url: str, kind: Kind) -> None:
    submit_all(url, on.history, [(n, kind if n == POISON else Kind.GOOD) for n in AROUND])


def test_one_poison_item_among_32_costs_one_dead_letter_and_replays(ground: Ground) -> None:
    with stage(ground.store, {"max_attempts": 2}, **ground.settings) as on:
        api = on.place.start("api").ready()
        _submit(on, api.url, Kind.ERROR)
        on.place.start("worker").ready()
        on.rest(within=ground.within)
        rows = on.check(RAISES)
        assert (on.rows.count("succeeded"), on.rows.count("failed")) == (31, 1)
        (poison,) = [row for row in rows if row.kind == Kind.ERROR]
        assert poison.failures == 2
        assert all(row.failures == 0 for row in rows if row.kind != Kind.ERROR)
        _replay_mended(on.place.store, poison.id)
        on.rest(within=ground.within)
        (mended,) = [row for row in on.check() if row.n == POISON]
        assert (mended.generation, mended.answer) == (1, probe.f(POISON))


def _replay_mended(store: str, id: str) -> None:
    there = open_store(store)
    try:
        inputs = msgspec.json.encode(probe.inputs(POISON, Kind.GOOD))
        replay = Replay(id, generation=0, by="test", inputs=inputs)
        assert there.replay(None, [replay]) == [id]
        assert there.replay(None, [replay]) == [], "one replay request applied twice (I7)"
    finally:
        there.close()


@pytest.mark.parametrize("kind", [Kind.ABORT, Kind.ABORT_DECODING])
def test_an_item_that_kills_its_worker_is_dead_lettered_and_its_neighbours_succeed(kind: Kind) -> None:
    with stage(None, {"max_deliveries": 3}, LEASE="1s") as on:
        api = on.place.start("api").ready()
        _submit(on, api.url, kind)
        crashes = 0
        for _ in range(8):
            worker = on.place.start("worker")
            if not _dies(on, worker):
                break
            crashes += 1
        rows = on.check({kind: (State.FAILED, "crashed")})
        (poison,) = [row for row in rows if row.kind == kind]
        assert poison.starts == 3
        assert poison.failures == 0, "a crash is no judged failure"
        # Decoding comes before the first start: two lost claims make it a suspect, which is started before it is decoded.
        assert crashes == (3 if kind is Kind.ABORT else 5)


@pytest.mark.timeout(150)
def test_so_it_is_with_kafka_as_the_queue(kafka: Broker) -> None:
    """A dead worker's partitions move when its session ends, after 10 s: the same, more slowly."""
    queue = f"kafka://{kafka.bootstrap}/{kafka.fresh_topic(partitions=3)}"
    with stage(None, {"max_deliveries": 2}, LEASE="1s", QUEUE=queue) as on:
        api = on.place.start("api").ready()
        _submit(on, api.url, Kind.ABORT)
        crashes = 0
        while _dies(on, on.place.start("worker")):
            crashes += 1
        rows = on.check({Kind.ABORT: (State.FAILED, "crashed")})
        (poison,) = [row for row in rows if row.kind == Kind.ABORT]
        assert (crashes, poison.starts, poison.failures) == (2, 2, 0)


def _dies(on: Stage, worker: Forebay) -> bool:
    """Whether this worker was taken down; False when everything is at rest."""
    eventually(lambda: worker.code is not None or on.rows.open() == 0, 30)
    return worker.code is not None


@pytest.mark.timeout(90)
def test_a_hook_that_hangs_at_intake_ends_its_worker_and_then_its_job() -> None:
    with stage(None, {"timeout_s": 1, "max_attempts": 2}, LEASE="30s") as on:
        api = on.place.start("api").ready()
        _submit(on, api.url, Kind.HANG_DECODING)
        ends = []
        while on.rows.open():
            worker = on.place.start("worker").ready()
            if not _dies(on, worker):
                break
            ends.append(worker)
        rows = on.check({Kind.HANG_DECODING: (State.FAILED, "timeout")})
        (poison,) = [row for row in rows if row.kind == Kind.HANG_DECODING]
        assert [end.code for end in ends] == [70, 70], "once per attempt, by itself"
        assert poison.failures == 2
        assert poison.error == (
            "preprocess or cost ran longer than limits.timeout_s (1 s) on this item alone, in preprocess (hooks.py)"
        )
        assert "preprocess or cost of model probe version 1" in ends[0].complained
        others = [row for row in rows if row.kind != Kind.HANG_DECODING]
        assert {(row.state, row.failures, row.starts) for row in others} == {(State.SUCCEEDED, 0, 0)}


@pytest.mark.timeout(90)
def test_a_hanging_item_is_timed_out_while_up_starts_its_worker_again() -> None:
    with stage(None, {"timeout_s": 1, "max_attempts": 2}, LEASE="2s") as on:
        up = on.place.start("up").ready()
        _submit(on, up.url, Kind.HANG)
        on.rest(within=60)
        rows = on.check({Kind.HANG: (State.FAILED, "timeout")})
        assert [row.failures for row in rows if row.kind == Kind.HANG] == [2]
        assert all(row.failures == 0 for row in rows if row.kind != Kind.HANG)
        assert "worker ended with 70: starting it again" in up.complained
        assert "the model hangs" in up.complained
        assert up.stop() == 0
        assert "Traceback" not in up.complained
