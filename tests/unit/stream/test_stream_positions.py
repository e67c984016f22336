"""Positions: what is committed was run, and what was read and not committed is read again, whatever happens in between."""

from hypothesis import given
from hypothesis import strategies as st

from pipelines.stream.positions import Positions, spans_of


class Record:
    def __init__(self, partition: int, offset: int) -> None:
        self._at = (partition, offset)

    def topic(self) -> str:
        return "t"

    def partition(self) -> int:
        return self._at[0]

    def offset(self) -> int:
        return self._at[1]


def test_a_commit_covers_what_was_run_and_no_more() -> None:
    positions = Positions()
    positions.assigned([("t", 0)])
    positions.read({("t", 0): (5, 9)})
    positions.ran({("t", 0): (5, 7)})
    assert positions.to_commit() == {("t", 0): 8}
    positions.committed()
    assert positions.to_commit() == {}
    assert positions.undone() == {("t", 0): 8}, "8 and 9 were read and not run"


def test_before_the_first_commit_it_goes_back_to_the_first_record() -> None:
    positions = Positions()
    positions.assigned([("t", 0)])
    positions.read({("t", 0): (5, 9)})
    positions.ran({("t", 0): (5, 9)})
    assert positions.undone() == {("t", 0): 5}
    assert positions.undone() == {}, "it is there already"


def test_what_went_to_another_is_not_touched() -> None:
    positions = Positions()
    positions.assigned([("t", 0), ("t", 1)])
    positions.read({("t", 0): (0, 3), ("t", 1): (0, 3)})
    positions.ran({("t", 0): (0, 3), ("t", 1): (0, 3)})
    positions.gone([("t", 0)])
    assert positions.owned == {("t", 1)}
    assert positions.to_commit() == {("t", 1): 4}
    assert positions.undone() == {("t", 1): 0}


@given(st.lists(st.tuples(st.sampled_from(["read", "ran", "commit", "undo"]), st.integers(1, 5)), max_size=60))
def test_every_record_is_committed_once_after_it_was_run(steps: list[tuple[str, int]]) -> None:
    """A model of one partition: a consumer that is sought where it is told, and a log of what commits covered."""
    positions = Positions()
    positions.assigned([("t", 0)])
    at = ran_to = committed_to = 0
    for step, count in steps:
        if step == "read":
            positions.read({("t", 0): (at, at + count - 1)})
            at += count
        elif step == "ran" and ran_to < at:
            last = min(at, ran_to + count) - 1
            positions.ran({("t", 0): (ran_to, last)})
            ran_to = last + 1
        elif step == "commit":
            offsets = positions.to_commit()
            assert offsets == ({("t", 0): ran_to} if ran_to > committed_to else {})
            positions.committed()
            committed_to = ran_to
        elif step == "undo":
            again = positions.undone()
            assert again == ({("t", 0): committed_to} if at > committed_to else {})
            at = ran_to = committed_to


def test_spans_are_first_and_last_by_partition() -> None:
    records = [Record(0, 3), Record(1, 7), Record(0, 4), Record(1, 9)]
    assert spans_of(records) == {("t", 0): (3, 4), ("t", 1): (7, 9)}
