"""A hook that never ends, at intake and on the device: the watchdog looks while it is called."""

from collections.abc import Sequence

import msgspec
import pytest

from pipelines.flow.served import HookFailed, Prepared
from pipelines.ports import InvalidInput
from schemas.reasons import Reason
from schemas.states import State
from tests.flow.world import Crash, Kind, Model, World

HANGS = 99


class Hooked(Model):
    """Where an input hangs, time passes until the watchdog has looked; then the process ends, or it answers after all."""

    hooked: bool = True
    seconds: float = 0.0
    """What any other input takes."""
    answers_late: bool = False
    world: World | None = None
    found: list[dict[str, str]] = msgspec.field(default_factory=list)

    def prepare(self, raws: Sequence[bytes]) -> list[Prepared | InvalidInput | HookFailed]:
        assert self.world is not None
        for raw in raws:
            hangs = msgspec.json.decode(raw)["kind"] == HANGS
            self.world.time.now += self.limits.timeout_s + 1 if hangs else self.seconds
            for worker in list(self.world.workers):
                self.found += [stuck] if (stuck := worker.judge_stuck()) else []
            if hangs and not self.answers_late:
                self._end()
        return Model.prepare(self, raws)

    def _end(self) -> None:
        assert self.world is not None
        for worker in self.world.workers:
            while worker.recorder.step():  # as the supervisor's drain does
                pass
        raise Crash


def hooked(**changes: bool | float) -> World:
    world = World(1, broker=False, workers=0)
    world.model = Hooked(world.chance, world=world, **changes)  # type: ignore[arg-type]
    world.workers = [world.new_worker()]
    return world


def test_the_one_that_hangs_at_intake_is_charged_and_the_rest_goes_back_as_it_came() -> None:
    world = hooked()
    ids = [world.submit(HANGS if n == 3 else Kind.GOOD) for n in range(8)]
    world.step(world.workers[0], "intake")
    assert world.crashes == 1
    assert world.model.found == [{"intake": world.model.found[0]["intake"]}]  # type: ignore[attr-defined]
    rows = [world.row(id) for id in ids]
    assert [(row.state, row.failures, row.starts, row.fence - row.answered) for row in rows] == [
        (State.QUEUED, n == 3, 0, 0) for n in range(8)
    ]
    assert [attempt.reason for attempt in rows[3].history] == [Reason.TIMEOUT]


def test_it_ends_in_the_dead_letters_and_its_neighbours_succeed() -> None:
    world = hooked()
    ids = [world.submit(HANGS if n == 3 else Kind.GOOD) for n in range(20)]
    world.run_to_rest()
    bad = world.row(ids[3])
    assert (bad.state, bad.reason, bad.failures) == (State.FAILED, Reason.TIMEOUT, 3)
    assert (bad.error or "").startswith("preprocess or cost ran longer than limits.timeout_s (30 s) on this item alone")
    assert all(world.row(id).state is State.SUCCEEDED for id in ids if id != ids[3])
    assert world.crashes == 3, "one process per attempt"


def test_a_suspect_that_hangs_is_found_on_the_device() -> None:
    world = hooked()
    (id,) = [world.submit(HANGS)]
    _lose_two_claims(world, id)
    for name in ("intake", "device"):
        world.step(world.workers[0], name)
    assert [list(stuck) for stuck in world.model.found] == [["device"]]  # type: ignore[attr-defined]
    assert (world.row(id).failures, world.row(id).reason) == (1, None)


def _lose_two_claims(world: World, id: str) -> None:
    row = world.row(id)
    row.fence = row.answered + 2


def test_what_answers_after_it_was_given_up_is_ignored() -> None:
    world = hooked(answers_late=True)
    world.submit(Kind.GOOD)
    world.submit(HANGS)
    (worker,) = world.workers
    worker.intake.step()
    assert len(worker.buffer) == 0, "both have their verdicts already"
    worker.recorder.step()
    assert worker.outbox.quiet()
    assert worker.intake.step() == 0, "this worker takes in nothing more"


@pytest.mark.parametrize("seconds", [0.0, 29.0])
def test_the_limit_is_of_one_item_not_of_all_that_was_received(seconds: float) -> None:
    world = hooked(seconds=seconds)
    for _ in range(8):
        world.submit(Kind.GOOD)
    world.workers[0].intake.step()
    assert world.model.found == []  # type: ignore[attr-defined]
    assert len(world.workers[0].buffer) == 8
