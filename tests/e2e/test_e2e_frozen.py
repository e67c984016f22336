"""A worker frozen past its lease and thawed: what it still writes under its old fence changes nothing (I3, I5)."""

import signal

import pytest

from tests.e2e import probe
from tests.e2e.clients import submit_all
from tests.e2e.probe import Kind
from tests.e2e.processes import Forebay, eventually
from tests.e2e.stage import Ground, Stage, stage

ITEMS = range(1, 25)


@pytest.mark.timeout(90)
def test_a_thawed_worker_changes_nothing(ground: Ground) -> None:
    with stage(ground.store, {"max_batch_size": 8}, LEASE="1s", **ground.settings) as on:
        api = on.place.start("api").ready()
        submit_all(api.url, on.history, [(n, Kind.WAIT) for n in ITEMS])
        frozen = on.place.start("worker").ready()
        eventually(lambda: on.rows.count("running") == len(ITEMS) and on.runs(), 10)
        _freeze(on, frozen)
        (on.model / probe.GO).touch()  # who is not frozen goes on
        beside = on.place.start("worker").ready()
        on.rest(within=ground.within)
        ended = on.check()
        ran_before = {n for pid, n in on.runs() if pid == frozen.pid}
        frozen.signal(signal.SIGCONT)
        _answers_for_nothing(on, frozen.pid, len(ran_before))
        assert frozen.code is None, "a thawed worker took the thaw for a signal"
        assert frozen.stop() == 0
        assert on.check() == ended, "a write under an old fence changed a row"
        assert {pid for pid, _ in on.runs()} == {frozen.pid, beside.pid}
        assert all(row.fence >= 2 for row in ended)


def _freeze(on: Stage, worker: Forebay) -> None:
    """Between two transactions: one frozen in the middle of a write holds the locks of the database until it is thawed."""

    def frozen() -> bool:
        worker.signal(signal.SIGSTOP)
        if on.rows.unlocked():
            return True
        worker.signal(signal.SIGCONT)
        return False

    eventually(frozen, 10)


def _answers_for_nothing(on: Stage, pid: int, before: int) -> None:
    """The thawed worker finishes the batch that it was frozen in."""
    eventually(lambda: len({n for ran_by, n in on.runs() if ran_by == pid}) > before, 10)
