"""Durations: what is written is what is read back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forebay import durations


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(604_800, "7d"), (5400, "90m"), (7200, "2h"), (30, "30s"), (2.5, "2500ms"), (0, "0s"), (0.0001, "0.0001s")],
)
def test_the_largest_unit_that_gives_a_whole_number(seconds: float, text: str) -> None:
    assert durations.written(seconds) == text


@given(st.integers(0, 10**13))
def test_what_is_written_reads_back(milliseconds: int) -> None:
    seconds = milliseconds / 1000
    assert durations.seconds_of(durations.written(seconds)) == pytest.approx(seconds, rel=1e-12)


@pytest.mark.parametrize("text", ["", "soon", "1w", "-5s", "1h30m", "nan", "inf", "1e3", "\u0663s"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="expected a duration such as"):
        durations.seconds_of(text)
