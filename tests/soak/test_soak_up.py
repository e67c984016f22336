"""`forebay up` outlives any number of jobs that take its worker down."""

import pytest

from schemas.states import State
from tests.e2e.clients import submit_all
from tests.e2e.probe import Kind
from tests.e2e.stage import stage

POISON = {5, 17, 23}


@pytest.mark.soak
def test_items_that_kill_their_worker_do_not_end_up() -> None:
    """Each takes down as many workers as it may be started (5), after the one that they shared."""
    with stage(None, LEASE="1s") as on:
        up = on.place.start("up").ready()
        submit_all(up.url, on.history, [(n, Kind.ABORT if n in POISON else Kind.GOOD) for n in range(1, 33)])
        on.rest(within=240)
        on.check({Kind.ABORT: (State.FAILED, "crashed")})
        assert up.complained.count("starting it again") >= 13
        assert up.complained.count("serves again") >= 13
        assert up.stop() == 0
