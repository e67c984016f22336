"""The breaker: jobs that fail in a row pause a model version; one answer closes it."""

from flow_items import Time, claim
from hypothesis import given
from hypothesis import strategies as st

from pipelines.flow.breaker import (
    ANSWER_HOLDS_S,
    FAILED_LATER_S,
    FIRST_PAUSE_S,
    LONGEST_PAUSE_S,
    OTHERS_HOLD_S,
    OTHERS_PAUSE_S,
    TRIPS_AT,
    Breaker,
    Moved,
)
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


def fails(breaker: Breaker, seqs: range, tenant: str = "default") -> bool:
    """Whether one of these, one by one, opened it."""
    return any([breaker.note("m", "1", [FAILED], [claim(seq, tenant=tenant)]) for seq in seqs])  # noqa: C419  # all are noted


def answers(breaker: Breaker, tenant: str = "default") -> None:
    breaker.note("m", "1", [Done(b"1")], [claim(10_000, tenant=tenant)])


def test_attempts_of_the_same_job_count_once() -> None:
    breaker = Breaker(Time())
    for _ in range(5):
        assert not fails(breaker, range(TRIPS_AT - 1))
    assert fails(breaker, range(TRIPS_AT - 1, TRIPS_AT))


def test_it_stays_closed_a_while_after_an_answer() -> None:
    time = Time()
    breaker = Breaker(time, ANSWER_HOLDS_S)
    answers(breaker)
    time.now += ANSWER_HOLDS_S - 0.01
    assert not fails(breaker, range(1000))
    time.now += 0.01
    assert fails(breaker, range(1)), "nothing was answered within the window"


def test_it_stays_closed_for_longer_after_the_answer_of_a_tenant_of_whom_nothing_failed() -> None:
    time = Time()
    breaker = Breaker(time, ANSWER_HOLDS_S)
    answers(breaker, "good")
    time.now += OTHERS_HOLD_S - 0.01
    assert not fails(breaker, range(1000), "bad")
    assert fails(breaker, range(1), "good"), "its own failed, too: it may be the model"


def test_an_older_answer_of_another_tenant_does_not_vouch_for_a_model_that_breaks() -> None:
    time = Time()
    breaker = Breaker(time, ANSWER_HOLDS_S)
    answers(breaker, "rare")
    time.now += 1
    answers(breaker, "busy")
    time.now += ANSWER_HOLDS_S
    assert fails(breaker, range(TRIPS_AT), "busy")


def test_a_tenant_that_is_answered_and_fails_vouches_for_nothing() -> None:
    time = Time()
    breaker = Breaker(time, ANSWER_HOLDS_S)
    breaker.note("m", "1", [Done(b"1"), FAILED], [claim(1), claim(2)])
    time.now += ANSWER_HOLDS_S
    assert fails(breaker, range(TRIPS_AT))


def test_one_of_whom_nothing_failed_is_paused_only_shortly() -> None:
    time = Time()
    breaker = Breaker(time)
    assert fails(breaker, range(TRIPS_AT), "bad")
    for _ in range(8):
        time.now += breaker.pause_left("m", "1", "bad")
        assert fails(breaker, range(1), "bad")
    assert breaker.pause_left("m", "1", "bad") == LONGEST_PAUSE_S
    assert breaker.pause_left("m", "1", "good") == OTHERS_PAUSE_S
    time.now += OTHERS_PAUSE_S
    assert breaker.pause_left("m", "1", "good") == 0
    assert fails(breaker, range(1), "good")
    assert breaker.pause_left("m", "1", "good") == LONGEST_PAUSE_S


def test_what_was_under_way_when_it_opened_does_not_lengthen_the_pause() -> None:
    breaker = Breaker(Time())
    assert fails(breaker, range(TRIPS_AT))
    assert not fails(breaker, range(TRIPS_AT, 50))
    assert breaker.pause_left("m", "1") == FIRST_PAUSE_S


def test_the_one_that_tells_most_is_tried_first() -> None:
    time = Time()
    breaker = Breaker(time)
    fails(breaker, range(TRIPS_AT), "bad")
    time.now += FIRST_PAUSE_S
    waiting = [
        claim(1, tenant="good", starts=1),
        claim(2, tenant="bad", failures=2),
        claim(3, tenant="bad", failures=1),
        claim(4, tenant="bad"),
        claim(5, tenant="good"),
    ]
    assert [breaker.back_in(each) for each in waiting] == [0, FAILED_LATER_S, FAILED_LATER_S, 0, 0]
    assert [each.seq for each in sorted(waiting, key=breaker.doubt)] == [5, 4, 3, 2, 1]


def test_it_tells_when_it_opens_and_closes() -> None:
    time, told = Time(), list[Moved]()
    breaker = Breaker(time, tell=told.append)
    answers(breaker)
    fails(breaker, range(TRIPS_AT))
    time.now += FIRST_PAUSE_S
    fails(breaker, range(1))
    answers(breaker)
    answers(breaker)
    assert told == [
        Moved("m", "1", FIRST_PAUSE_S, "model_error: boom"),
        Moved("m", "1", 2 * FIRST_PAUSE_S, "model_error: boom"),
        Moved("m", "1", 0.0),
    ]
    assert [moved.open for moved in told] == [True, True, False]
