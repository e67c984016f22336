"""The breaker in the whole flow: one client's bad inputs beside others' good ones, and a model that is mended."""

from collections.abc import Sequence

import pytest

from pipelines.flow.breaker import FIRST_PAUSE_S, OTHERS_PAUSE_S
from pipelines.flow.served import HookFailed, Prepared
from pipelines.ports import InvalidInput, Tensors
from schemas.states import State
from tests.flow.world import Kind, Model, World

TICK_S = 0.1


def tick(world: World, bad: int = 0, by: str = "bad") -> None:
    for _ in range(bad):
        world.submit(Kind.POISON, tenant=by)
    for name in ("intake", "device", "device", "device", "device", "recorder"):
        world.step(world.workers[0], name)
    world.time.now += TICK_S


def latency(world: World, id: str) -> float:
    row = world.row(id)
    assert row.state is State.SUCCEEDED
    assert row.finished_at is not None
    return row.finished_at - row.submitted_at


@pytest.mark.parametrize(("good", "every_s"), [("good", 2.0), ("good", 20.0), ("bad", 2.0)])
def test_good_jobs_are_not_held_up_by_a_stream_of_failing_ones(good: str, every_s: float) -> None:
    world = World(11, broker=False, workers=1)
    ids = []
    for n in range(1200):
        if n % round(every_s / TICK_S) == 0:
            ids.append(world.submit(Kind.GOOD, tenant=good))
        tick(world, bad=n % 3 == 0)
    for _ in range(20):
        tick(world)
    assert max(latency(world, id) for id in ids) <= 1.0
    assert world.observed.circuits == []


def test_a_good_job_after_a_night_of_bad_ones_waits_for_one_short_pause() -> None:
    world = World(12, broker=False, workers=1)
    for n in range(6000):
        tick(world, bad=n % 10 == 0)
    assert world.observed.circuits[-1].pause > 10 * FIRST_PAUSE_S, "nobody else was there"
    id = world.submit(Kind.GOOD, tenant="good")
    for n in range(100):
        tick(world, bad=n % 10 == 0)
    assert latency(world, id) <= OTHERS_PAUSE_S + 2 * TICK_S
    assert not world.observed.circuits[-1].open


def test_after_a_pause_a_job_without_failures_is_tried_before_the_others() -> None:
    world = World(13, broker=False, workers=1)
    for _ in range(12):
        world.submit(Kind.POISON)
    while not world.observed.circuits:
        tick(world)
    for _ in range(12):
        world.submit(Kind.POISON, priority=9)  # the higher priority would go first
    ids = [world.submit(Kind.GOOD, tenant="good") for _ in range(3)]
    while world.observed.circuits[-1].open:
        tick(world)
    assert len(world.observed.circuits) == 2, "the first that was tried closed it"
    for _ in range(10):
        tick(world)
    assert all(world.row(id).state is State.SUCCEEDED for id in ids)


def test_what_is_tried_did_not_fail_before_whatever_its_priority() -> None:
    world = World(15, broker=False, workers=1)
    for _ in range(12):
        world.submit(Kind.POISON, priority=9)
    while not world.observed.circuits:
        tick(world)
    ids = [world.submit(Kind.GOOD, priority=0) for _ in range(3)]
    world.time.now += 60  # everything is due, of one tenant
    for _ in range(60):
        tick(world)
    assert [moved.open for moved in world.observed.circuits] == [True, False]
    assert all(world.row(id).state is State.SUCCEEDED for id in ids)


class Broken(Model):
    """A deploy whose preprocess raises for every input until it is mended."""

    hooked: bool = True
    mended: bool = False
    calls: int = 0

    def prepare(self, raws: Sequence[bytes]) -> list[Prepared | InvalidInput | HookFailed]:
        self.calls += 1
        return Model.prepare(self, raws) if self.mended else [HookFailed("preprocess: KeyError: 'x'") for _ in raws]

    def predict(self, inputs: Sequence[Tensors]) -> list[Tensors]:
        return Model.predict(self, inputs)


def test_a_broken_hook_is_tried_once_per_pause_and_dead_letters_next_to_nothing() -> None:
    world = World(14, broker=False, workers=0)
    model = world.model = Broken(world.chance)
    world.workers = [world.new_worker()]
    ids = [world.submit(Kind.GOOD) for _ in range(1000)]
    for _ in range(3000):
        tick(world)
    assert sum(world.row(id).state is State.FAILED for id in ids) <= 10
    assert model.calls <= 10 + len(world.observed.circuits)
    model.mended = True
    world.run_to_rest()
    assert sum(world.row(id).state is State.SUCCEEDED for id in ids) >= 990
    assert not world.observed.circuits[-1].open
