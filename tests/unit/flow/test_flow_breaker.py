"""The breaker: failures in a row pause a model version; one answer closes it."""

from flow_items import Time
from hypothesis import given
from hypothesis import strategies as st

from pipelines.flow.breaker import FIRST_PAUSE_S, LONGEST_PAUSE_S, TRIPS_AT, Breaker
from schemas.reasons import Reason
from schemas.verdicts import Dead, Done, Release, Retry, Verdict

FAILED = Retry(Reason.MODEL_ERROR, "boom", 1.0)
DEAD = Dead(Reason.TIMEOUT, "slow")
INNOCENT: list[Verdict] = [
    Dead(Reason.INVALID_INPUT, "no"),
    Dead(Reason.CRASHED, "killed"),
    Release(),
    Release(suspect=True),
]


def tripped(time: Time) -> Breaker:
    breaker = Breaker(time)
    assert breaker.note("m", "1", [FAILED] * TRIPS_AT)
    return breaker


def test_failures_in_a_row_open_it() -> None:
    breaker = Breaker(Time())
    assert [breaker.note("m", "1", [FAILED, DEAD][n % 2 : n % 2 + 1]) for n in range(TRIPS_AT)] == [
        *[False] * (TRIPS_AT - 1),
        True,
    ]
    assert breaker.pause_left("m", "1") == FIRST_PAUSE_S


def test_another_version_runs_on() -> None:
    breaker = tripped(Time())
    assert (breaker.pause_left("m", "2"), breaker.pause_left("n", "1")) == (0, 0)


@given(st.lists(st.sampled_from([FAILED, DEAD, *INNOCENT]), max_size=30))
def test_one_answer_in_between_closes_it(verdicts: list[Verdict]) -> None:
    breaker = Breaker(Time())
    for verdict in verdicts[:TRIPS_AT]:
        breaker.note("m", "1", [verdict])
    assert not breaker.note("m", "1", [*verdicts, Done(b"1")])
    assert breaker.pause_left("m", "1") == 0
    assert not breaker.note("m", "1", [FAILED] * (TRIPS_AT - 1))


@given(st.lists(st.sampled_from(INNOCENT), max_size=100))
def test_what_says_nothing_about_the_device_is_not_counted(verdicts: list[Verdict]) -> None:
    assert not Breaker(Time()).note("m", "1", verdicts)


def test_after_a_pause_one_failure_opens_it_for_twice_as_long() -> None:
    time = Time()
    breaker = tripped(time)
    pauses = [breaker.pause_left("m", "1")]
    for _ in range(9):
        time.now += pauses[-1]
        assert breaker.pause_left("m", "1") == 0
        assert breaker.note("m", "1", [FAILED])
        pauses.append(breaker.pause_left("m", "1"))
    assert pauses == [min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**n) for n in range(10)]
    assert not breaker.note("m", "1", [Done(b"1")])
    assert not breaker.note("m", "1", [FAILED] * (TRIPS_AT - 1)), "an answer forgets the trips"


def test_a_model_that_is_broken_for_days_keeps_its_longest_pause() -> None:
    time = Time()
    breaker = tripped(time)
    for _ in range(2000):
        time.now += LONGEST_PAUSE_S
        breaker.note("m", "1", [FAILED])
    assert breaker.pause_left("m", "1") == LONGEST_PAUSE_S
