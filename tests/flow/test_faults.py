"""Seeded fault runs of the whole flow: crashes between and inside steps, duplicates, losses, delays, lost settles, drains,
cancels, pauses and replays, in any order. At rest every job has ended, once, with its own result."""

import os

import pytest

from pipelines.queues.memory import Faults
from schemas.jobs import JobView
from schemas.reasons import Reason
from schemas.states import TERMINAL, State
from tests.flow.world import LEASE, Kind, World

SEEDS = range(int(os.environ.get("FOREBAY_TEST_SEEDS", "9")))
PARTS = ("intake", "intake", "device", "device", "device", "recorder", "recorder", "heartbeat", "sweeper")
MEAN = Faults(refuse=0.1, unconfirmed=0.1, lose=0.05, duplicate=0.2, reorder=0.3, lose_settle=0.1)


def schedule(world: World, rounds: int) -> None:
    chance = world.chance
    kinds = [Kind.GOOD] * 12 + [Kind.UNDECODABLE, Kind.POISON, Kind.FLAKY, Kind.HUNGRY, Kind.NAN, Kind.KILLER]
    for _ in range(rounds):
        event = chance.random()
        if event < 0.15:
            for _ in range(chance.randint(1, 10)):
                world.submit(
                    chance.choice(kinds), priority=chance.randint(0, 9), expires_in=chance.choice([None, None, 200.0])
                )
        elif event < 0.17 and world.kinds:
            world.store.cancel(None, [chance.choice(list(world.kinds))])
        elif event < 0.18:
            world.store.check()
            world.replay_all()
            world.store.check()
        elif event < 0.19:
            world.step(chance.choice(world.workers), "drain")
        elif event < 0.20:
            world.store.pause("m", True)
        elif event < 0.25:
            world.store.pause("m", False)
        elif event < 0.30:
            world.time.now += chance.choice([1.0, 5.0, LEASE + 1])
        else:
            world.step(chance.choice(world.workers), chance.choice((*PARTS, *world.steps)))
        world.time.now += 0.05


@pytest.mark.parametrize("broker", [False, True], ids=["store", "broker"])
@pytest.mark.parametrize("seed", SEEDS)
def test_every_job_ends_once_with_its_own_result(seed: int, broker: bool) -> None:
    world = World(seed, broker, MEAN)
    world.crash_rate = 0.02
    world.model.hooked = bool(seed % 2)
    schedule(world, 400)
    world.crash_rate = 0.0
    world.store.pause("m", False)
    world.run_to_rest()
    states = {
        view.id: view.state for view in world.store.read(None, list(world.kinds)).values() if isinstance(view, JobView)
    }
    assert set(states) == set(world.kinds), "accepted = succeeded ⊎ failed ⊎ canceled ⊎ expired (I6)"
    assert set(states.values()) <= TERMINAL
    world.check_results()


@pytest.mark.parametrize("broker", [False, True], ids=["store", "broker"])
@pytest.mark.parametrize("seed", SEEDS[::3])
def test_the_same_with_inputs_and_results_that_no_row_holds(seed: int, broker: bool) -> None:
    world = World(seed, broker, MEAN, away_rate=0.2)
    assert world.payloads is not None
    world.crash_rate = 0.02
    world.model.hooked = bool(seed % 2)
    schedule(world, 400)
    world.crash_rate = world.away_rate = 0.0
    world.store.pause("m", False)
    world.run_to_rest()
    world.check_results()
    world.time.now += 86_401.0
    assert world.janitor is not None
    world.janitor.step()
    named = {ref for row in world.store.rows.values() for ref in (row.inputs_ref, row.result_ref) if ref is not None}
    assert set(world.payloads.held) == named, "an orphan stayed, or what is named went"
    (worker, *_) = world.workers
    world.time.now += 7 * 86_400.0
    worker.sweeper.step()
    assert worker.janitor is not None
    worker.janitor.step()
    assert not world.store.rows
    assert not world.payloads.held, "payloads go with their jobs"


@pytest.mark.parametrize("broker", [False, True], ids=["store", "broker"])
def test_one_poison_among_many_costs_its_neighbours_nothing(broker: bool) -> None:
    world = World(1, broker, workers=1)
    world.model.batching = world.model.batching.model_copy(update={"max_batch_size": 32})
    world.model.largest = 32
    ids = [world.submit(Kind.POISON if n == 13 else Kind.GOOD) for n in range(32)]
    (worker,) = world.workers
    world.step(worker, "sweeper")
    world.step(worker, "intake")
    world.step(worker, "device")
    assert world.model.runs <= 11
    world.run_to_rest()
    states = [world.row(id).state for id in ids]
    assert states.count(State.SUCCEEDED) == 31
    assert world.row(ids[13]).reason is Reason.MODEL_ERROR
    assert len(world.row(ids[13]).history) == 3


@pytest.mark.parametrize("kind", [Kind.KILLER, Kind.KILLER_DECODE])
def test_what_kills_the_worker_is_dead_lettered_and_its_neighbours_done(kind: int) -> None:
    world = World(2, broker=False, workers=1)
    ids = [world.submit(kind if n == 3 else Kind.GOOD) for n in range(10)]
    world.run_to_rest()
    assert world.row(ids[3]).reason is Reason.CRASHED
    assert [world.row(id).state for n, id in enumerate(ids) if n != 3] == [State.SUCCEEDED] * 9
    assert world.crashes <= 5 + 4  # max_deliveries alone, after those in company


def test_a_lane_that_fails_everything_is_paused_not_dead_lettered() -> None:
    world = World(3, broker=False, workers=1)
    world.model.batching = world.model.batching.model_copy(update={"max_batch_size": 1})
    ids = [world.submit(Kind.POISON) for _ in range(1000)]
    for _ in range(300):
        for name in ("intake", "device", "device", "device", "recorder", "heartbeat"):
            world.step(world.workers[0], name)
        world.time.now += 1.0
    failed = sum(world.row(id).state is State.FAILED for id in ids)
    assert failed <= 10


def test_a_drain_spends_no_attempt() -> None:
    world = World(4, broker=False, workers=1)
    ids = [world.submit(Kind.GOOD) for _ in range(20)]
    world.step(world.workers[0], "intake")
    world.step(world.workers[0], "drain")
    rows = [world.row(id) for id in ids]
    assert {(row.state, row.starts, row.failures, row.fence - row.answered) for row in rows} == {
        (State.QUEUED, 0, 0, 0)
    }


def test_a_frozen_worker_that_thaws_overwrites_nothing() -> None:
    world = World(5, broker=False, workers=2)
    frozen, other = world.workers
    (id,) = [world.submit(Kind.GOOD)]
    world.step(frozen, "intake")
    world.step(frozen, "device")
    world.time.now += LEASE + 1
    for name in ("intake", "device", "recorder"):
        world.step(other, name)
    finished = world.row(id).finished_at
    world.time.now += 5
    world.step(frozen, "recorder")
    assert world.row(id).finished_at == finished
    assert len(world.observed.verdicts) == 1


def test_out_of_memory_teaches_a_ceiling() -> None:
    world = World(6, broker=False, workers=1)
    world.model.largest = 2
    for _ in range(40):
        world.submit(Kind.GOOD)
    world.run_to_rest()
    first = world.model.runs
    for _ in range(40):
        world.submit(Kind.GOOD)
    world.run_to_rest()
    assert world.model.runs - first <= 24
    assert all(row.state is State.SUCCEEDED for row in world.store.rows.values())
