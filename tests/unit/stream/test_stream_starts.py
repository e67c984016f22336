"""Starts: who comes after a crash finds its suspects, keeps their order, and forgets what is committed."""

from collections.abc import Sequence
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from pipelines.stream.positions import Partition
from pipelines.stream.starts import Range, Starts, StartsFile


class Record:
    def __init__(self, offset: int, partition: int = 0) -> None:
        self._at = (partition, offset)

    def topic(self) -> str:
        return "t"

    def partition(self) -> int:
        return self._at[0]

    def offset(self) -> int:
        return self._at[1]


class Elsewhere:
    def __init__(self, *known: Range) -> None:
        self.known = list(known)
        self.noted: list[tuple[list[Range], bool]] = []

    def read(self, partitions: Sequence[Partition]) -> list[Range]:
        return [each for each in self.known if (each.topic, each.partition) in partitions]

    def note(self, ranges: Sequence[Range], surely: bool) -> None:
        self.noted.append((list(ranges), surely))


def cuts(starts: Starts, offsets: Sequence[int]) -> list[tuple[list[int], int]]:
    records = [Record(offset) for offset in offsets]
    return [([each.offset() for each in group], n) for group, n in starts.sorted_out(records)]  # type: ignore[arg-type,misc]


def opened(folder: Path, elsewhere: Elsewhere | None = None) -> Starts:
    return Starts(StartsFile(folder / "one.starts"), elsewhere or Elsewhere())


def test_a_crash_leaves_its_batch_as_suspects(tmp_path: Path) -> None:
    opened(tmp_path).begin({("t", 0): (5, 7)}, 0)
    assert cuts(opened(tmp_path), [4, 5, 6, 7, 8]) == [([4], 0), ([5], 1), ([6], 1), ([7], 1), ([8], 0)]


def test_a_batch_that_was_answered_leaves_nothing(tmp_path: Path) -> None:
    starts = opened(tmp_path)
    starts.begin({("t", 0): (5, 7)}, 0)
    starts.done()
    assert cuts(opened(tmp_path), [5, 6, 7]) == [([5, 6, 7], 0)]


def test_a_suspect_that_crashes_again_counts_on_and_its_neighbours_do_not(tmp_path: Path) -> None:
    opened(tmp_path).begin({("t", 0): (5, 7)}, 0)
    second = opened(tmp_path)
    second.begin({("t", 0): (6, 6)}, 1)
    assert cuts(opened(tmp_path), [5, 6, 7]) == [([5], 1), ([6], 2), ([7], 1)]


def test_what_is_committed_is_forgotten(tmp_path: Path) -> None:
    opened(tmp_path).begin({("t", 0): (5, 7)}, 0)
    starts = opened(tmp_path)
    starts.committed({("t", 0): 7})
    assert cuts(starts, [7, 8]) == [([7], 1), ([8], 0)]
    starts.committed({("t", 0): 8})
    assert cuts(opened(tmp_path), [7, 8]) == [([7, 8], 0)]


def test_what_is_known_elsewhere_counts_for_partitions_that_come(tmp_path: Path) -> None:
    elsewhere = Elsewhere(Range("t", 0, 5, 5, 2), Range("t", 1, 5, 5, 9))
    starts = opened(tmp_path, elsewhere)
    starts.came([("t", 0)])
    assert cuts(starts, [5]) == [([5], 2)]
    starts.begin({("t", 0): (5, 5)}, 2)
    assert elsewhere.noted[-1] == ([Range("t", 0, 5, 5, 3), Range("t", 0, 5, 5, 2)], True)


def test_a_file_that_is_not_ours_to_understand_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / "one.starts").write_bytes(b"\x00garbage" * 99)
    starts = opened(tmp_path)
    assert cuts(starts, [1]) == [([1], 0)]
    starts.begin({("t", 0): (1, 1)}, 0)
    assert cuts(opened(tmp_path), [1]) == [([1], 1)]


@given(past=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=4), offsets=st.sets(st.integers(0, 12)))
def test_no_record_is_left_out_and_order_is_kept(past: list[tuple[int, int]], offsets: set[int]) -> None:
    starts = Starts.__new__(Starts)
    starts._past = [Range("t", 0, min(pair), max(pair), 1) for pair in past]
    got = cuts(starts, sorted(offsets))
    assert [offset for group, _ in got for offset in group] == sorted(offsets)
    assert all(len(group) == 1 for group, n in got if n)
