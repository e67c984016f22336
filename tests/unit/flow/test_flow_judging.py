"""Judging: a run's outcome becomes a verdict; the retry policy and its bounds."""

import random

import numpy as np
import pytest
from flow_items import Echo, claim, item
from hypothesis import given
from hypothesis import strategies as st

from pipelines.flow.isolation import Answer, Failure, Unclear, WrongCount
from pipelines.flow.judging import Judge, crashed, describe
from pipelines.ports import InvalidInput, OutOfMemory
from schemas.model_spec import Limits
from schemas.reasons import Reason
from schemas.verdicts import Dead, Done, Release, Retry

JUDGE = Judge(random.Random(7))


def answer(n: float) -> Answer:
    return Answer({"x": np.array([n])})


@given(
    st.integers(1, 100_000),
    st.floats(0.001, 3600),
    st.floats(0.001, 86_400),
)
def test_backoff_stays_below_its_doubling_and_its_cap(attempt: int, base: float, cap: float) -> None:
    delay = JUDGE.backoff(attempt, Limits(retry_base_s=base, retry_max_s=cap))
    assert 0 <= delay <= cap
    assert attempt > 40 or delay <= base * 2 ** (attempt - 1)


def test_backoff_has_full_jitter() -> None:
    """AWS's "full jitter": uniform from 0, not a fixed delay with noise."""
    draws = [JUDGE.backoff(3, Limits(retry_base_s=1, retry_max_s=60)) for _ in range(2000)]
    assert min(draws) < 0.1
    assert 3.9 < max(draws) <= 4
    assert 1.8 < sum(draws) / len(draws) < 2.2


@given(st.integers(0, 10), st.integers(1, 10))
def test_exactly_max_attempts_are_made(failures: int, most: int) -> None:
    verdict = JUDGE.failure(claim(failures=failures), Limits(max_attempts=most), Reason.MODEL_ERROR, "boom")
    assert isinstance(verdict, Dead) == (failures + 1 >= most)
    assert isinstance(verdict, Retry | Dead)
    assert (verdict.reason, verdict.error) == (Reason.MODEL_ERROR, "boom")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OutOfMemory("no room"), Reason.OUT_OF_MEMORY),
        (WrongCount("2 for 1"), Reason.INVALID_OUTPUT),
        (ValueError("poison"), Reason.MODEL_ERROR),
        (KeyError("x"), Reason.MODEL_ERROR),
    ],
)
def test_the_reason_goes_by_the_error(error: Exception, reason: Reason) -> None:
    (verdict,) = JUDGE.outcomes(Echo(), [item(1)], [Failure(error)])
    assert isinstance(verdict, Retry)
    assert verdict.reason is reason
    assert type(error).__name__ in verdict.error


def test_an_input_that_only_the_model_can_refuse_is_dead_at_once() -> None:
    (verdict,) = JUDGE.outcomes(Echo(), [item(1)], [Failure(InvalidInput("pixels: all 0"))])
    assert verdict == Dead(Reason.INVALID_INPUT, "pixels: all 0")


def test_what_failed_in_company_is_given_back_uncharged_as_a_suspect() -> None:
    verdicts = JUDGE.outcomes(Echo(), [item(1), item(2)], [Unclear(ValueError("cuda"))] * 2)
    assert verdicts == [Release(suspect=True)] * 2


@given(st.lists(st.sampled_from(["answer", "nan", "failed", "unclear"]), max_size=12))
def test_verdicts_follow_their_items_by_position(kinds: list[str]) -> None:
    outcomes = [
        {
            "answer": answer(float(n)),
            "nan": answer(float("nan")),
            "failed": Failure(ValueError(f"poison {n}")),
            "unclear": Unclear(ValueError("alike")),
        }[kind]
        for n, kind in enumerate(kinds)
    ]
    verdicts = JUDGE.outcomes(Echo(), [item(n) for n in range(len(kinds))], outcomes)
    assert len(verdicts) == len(kinds)
    for n, (kind, verdict) in enumerate(zip(kinds, verdicts, strict=True)):
        match kind:
            case "answer":
                assert verdict == Done(str(n).encode())
            case "nan":
                assert isinstance(verdict, Retry)
                assert verdict.reason is Reason.INVALID_OUTPUT
            case "failed":
                assert isinstance(verdict, Retry)
                assert verdict.error == f"ValueError: poison {n}"
            case _:
                assert verdict == Release(suspect=True)


@given(st.integers(0, 100), st.integers(2, 100))
def test_an_item_that_kills_its_worker_is_started_max_deliveries_times(starts: int, most: int) -> None:
    dead = crashed(claim(starts=starts), Limits(max_deliveries=most))
    assert (dead is not None) == (starts >= most)
    assert dead is None or (dead.reason is Reason.CRASHED and not dead.charged)


def test_an_error_is_described_in_one_line_with_its_place() -> None:
    try:
        raise ValueError("first\nsecond\t third")
    except ValueError as raised:
        text = describe(raised)
    assert text.startswith("ValueError: first second third (test_flow_judging.py:")
    assert describe(ValueError()) == "ValueError: no message"


def test_an_error_whose_text_raises_is_described_all_the_same() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no words")

    assert "Mute: its message cannot be read" in describe(Mute())
