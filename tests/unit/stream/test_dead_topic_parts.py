"""The pure parts of settling a dead-letter topic: which offsets are settled, and at what pace."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.dead_topics.letter import id_of
from pipelines.dead_topics.pace import Pace
from pipelines.dead_topics.settled import MOST_CHARACTERS, NotOurs, Settled

MOST = 400
spans = st.lists(
    st.tuples(st.integers(0, MOST - 1), st.integers(1, 40)).map(lambda each: (each[0], each[0] + each[1])), max_size=30
)


@given(st.integers(0, MOST), st.lists(spans, max_size=4))
def test_settled_is_the_set_of_what_was_settled_and_its_metadata_says_the_same(base: int, chunks: list) -> None:  # type: ignore[type-arg]  # hypothesis's own
    settled, expected = Settled(base), set(range(base))
    for chunk in chunks:
        settled = settled.with_spans(chunk)
        expected |= {offset for first, behind in chunk for offset in range(first, behind)}
    everything = range(MOST + 50)
    assert {offset for offset in everything if offset in settled} == expected & set(everything)
    assert settled.base not in expected, "the base is the longest prefix"
    assert Settled.of(settled.base, settled.metadata) == settled
    opened = [offset for first, behind in settled.open_spans(10, MOST) for offset in range(first, behind)]
    assert opened == [offset for offset in range(10, MOST) if offset not in expected]


@given(st.sets(st.integers(1, 20_000), min_size=1))
def test_settling_everything_leaves_no_metadata(offsets: set[int]) -> None:
    settled = Settled(0).with_spans((offset, offset + 1) for offset in offsets).with_spans([(0, 20_001)])
    assert settled == Settled(20_001)
    assert settled.metadata == ""


def test_metadata_holds_thousands_of_changes_and_says_when_it_does_not() -> None:
    every_other = [(2 * n, 2 * n + 1) for n in range(1, 1_450)]
    assert Settled(0).with_spans(every_other).fits
    assert not Settled(0).with_spans([(2 * n, 2 * n + 1) for n in range(1, 2_000)]).fits
    assert len(Settled(0).with_spans([(10**12, 10**13)]).metadata) < MOST_CHARACTERS / 50


@pytest.mark.parametrize("metadata", ["", "somebody else's", None])
def test_what_others_wrote_says_nothing(metadata: str | None) -> None:
    assert Settled.of(7, metadata) == Settled(7)


@pytest.mark.parametrize("metadata", ["settled-1:?", "settled-1:gA==", "settled-1:AQ=="])
def test_ours_that_is_broken_is_not_taken_for_nothing_settled(metadata: str) -> None:
    with pytest.raises(NotOurs):
        Settled.of(7, metadata)


@pytest.mark.parametrize(
    ("text", "place"),
    [("0:17", (0, 17)), ("12:0", (12, 0)), ("17", None), ("a:1", None), ("1:", None), ("-1:2", None), ("1:2:3", None)],
)
def test_an_id_is_a_partition_and_an_offset(text: str, place: tuple[int, int] | None) -> None:
    assert id_of(text) == place


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.at = 100.0

    def monotonic(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.at += seconds


@pytest.mark.parametrize("rate", [0.5, 1, 7, 50, 5_000])
def test_the_rate_holds_over_every_stretch_of_time(rate: float) -> None:
    time = Time()
    pace = Pace(rate, time, time.sleep)
    size = pace.chunk(500)
    assert size == max(1, min(500, int(rate / 10)))
    took = []
    for _ in range(40):
        pace.wait(size)
        took.append(time.at)
        time.at += 0.001  # the work itself
    for place, at in enumerate(took):
        assert place * size <= (at - took[0]) * rate + 1e-6, "ahead of its rate"
    assert took[-1] - took[0] == pytest.approx(39 * size / rate, abs=0.05)


def test_without_a_rate_nobody_waits() -> None:
    time = Time()
    pace = Pace(None, time, time.sleep)
    pace.wait(pace.chunk(500))
    pace.wait(500)
    assert (pace.chunk(500), time.at) == (500, 100.0)
