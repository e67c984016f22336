"""With a clock that only moves when somebody sleeps."""

import asyncio
from collections.abc import Iterable

from forebay_airflow.runs import Run, State
from forebay_airflow.watching import Lost, Pace, watch
from forebay_client import ForebayError, NotFound, Unavailable


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


def watched(answers: Iterable[Run | ForebayError], *, took: float = 0.0) -> tuple[Run | Lost, list[str], Clock]:
    clock, told, coming = Clock(), list[str](), iter(answers)

    async def look(run_id: str, wait: float) -> Run:
        clock.now += took
        match next(coming):
            case Run() as run:
                return run
            case met:
                raise met

    seen = asyncio.run(watch("a", look, Pace(10.0, 60.0, lambda: clock.now, clock.sleep), told.append))
    return seen, told, clock


RUNNING, DONE, AWAY = Run("a", State.RUNNING), Run("a", State.SUCCEEDED), Unavailable("the store is away")


def test_it_ends_when_the_run_does() -> None:
    assert watched([RUNNING, DONE])[0] == DONE


def test_looks_are_as_far_apart_as_asked_however_soon_the_server_answers() -> None:
    assert watched([RUNNING] * 3 + [DONE])[2].now == 30
    assert watched([RUNNING] * 3 + [DONE], took=10)[2].now == 40


def test_a_line_is_told_only_when_something_changed() -> None:
    assert len(watched([RUNNING, RUNNING, RUNNING, DONE])[1]) == 1


def test_a_service_that_comes_back_in_time_costs_nothing() -> None:
    assert watched([AWAY] * 5 + [RUNNING] + [AWAY] * 5 + [DONE])[0] == DONE


def test_a_service_that_stays_away_is_given_up() -> None:
    assert watched([AWAY] * 9)[0] == Lost("nothing was heard of scoring run a for 60 s: the store is away")


def test_a_run_that_nobody_knows_is_given_up_at_once() -> None:
    assert watched([NotFound("no scoring run with this id")])[0] == Lost(
        "scoring run a cannot be watched: no scoring run with this id"
    )
