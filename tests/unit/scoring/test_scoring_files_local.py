"""An input on a file system of this machine."""

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.scoring.dataset import parquet_files, read_footers
from pipelines.scoring.faults import BadInput, InputChanged
from pipelines.scoring.files_local import LocalFiles
from pipelines.scoring.inputs import find


@pytest.fixture
def files(tmp_path: Path) -> LocalFiles:
    (tmp_path / "a.parquet").write_bytes(b"old")
    return LocalFiles(tmp_path)


def _replaced(path: Path) -> None:
    """By a file of the same size that was written at the same time."""
    at = path.stat()
    new = path.with_name("new")
    new.write_bytes(b"new")
    os.utime(new, ns=(at.st_atime_ns, at.st_mtime_ns))
    new.replace(path)


def test_a_file_that_is_not_what_was_planned_gets_no_tag(files: LocalFiles, tmp_path: Path) -> None:
    (planned,) = files.listed()
    assert files.tag(planned).startswith("xxh128:")
    _replaced(tmp_path / "a.parquet")
    with pytest.raises(InputChanged, match=r"a\.parquet was written meanwhile"):
        files.tag(planned)
    (tmp_path / "a.parquet").unlink()
    with pytest.raises(InputChanged, match=r"a\.parquet is gone"):
        files.tag(planned)


def test_a_file_that_is_moved_over_another_shows(files: LocalFiles, tmp_path: Path) -> None:
    (before,) = files.listed()
    _replaced(tmp_path / "a.parquet")
    (after,) = files.listed()
    assert (after.size, after.changed > before.changed) == (before.size, True)


def test_what_is_no_file_is_named_and_never_opened(files: LocalFiles, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.parquet")
    (tmp_path / "gone.parquet").symlink_to("nowhere")
    (tmp_path / "a.parquet").unlink()
    pq.write_table(pa.table({"x": [1]}), tmp_path / "b.parquet")
    listed = parquet_files(files)
    with pytest.raises(BadInput) as told:
        read_footers(files, listed, skip_corrupt=False)
    assert "gone.parquet: a link that leads nowhere" in str(told.value)
    assert "pipe.parquet: no file: a pipe, a socket or a device" in str(told.value)
    data, skipped = read_footers(files, listed, skip_corrupt=True)
    assert ([*data.footers], [each.path for each in skipped]) == (["b.parquet"], ["gone.parquet", "pipe.parquet"])


def test_a_loop_of_links_is_told_in_one_short_line(files: LocalFiles, tmp_path: Path) -> None:
    (tmp_path / "dt=1" / "hour=2").mkdir(parents=True)
    (tmp_path / "dt=1" / "hour=2" / "again").symlink_to(tmp_path / "dt=1")
    with pytest.raises(BadInput, match="dt=1/hour=2/again: a link to a folder that it lies in") as told:
        files.listed()
    assert len(str(told.value)) < 150


def test_a_folder_that_two_links_lead_to_is_no_loop(files: LocalFiles, tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "b.parquet").write_bytes(b"")
    (tmp_path / "two").symlink_to("one")
    (tmp_path / "_hidden").symlink_to(".")
    assert {each.path for each in files.listed()} == {"a.parquet", "one/b.parquet", "two/b.parquet"}


def test_what_is_passed_over_is_told(files: LocalFiles, tmp_path: Path) -> None:
    assert find(files, None).told() is None
    for name in ("notes.txt", "data.parquet.tmp", "a.csv", "b.csv", "_SUCCESS", ".crc"):
        (tmp_path / name).write_bytes(b"")
    assert find(files, None).told() == (
        "4 files are passed over: names that do not end with .parquet, .parq, .pq: a.csv; b.csv; data.parquet.tmp; and 1 more"
    )


def test_a_folder_without_files_holds_nothing_unless_it_says_so(files: LocalFiles, tmp_path: Path) -> None:
    (tmp_path / "a.parquet").unlink()
    (tmp_path / "dt=1").mkdir()
    with pytest.raises(BadInput, match="nothing is there"):
        parquet_files(files)
    (tmp_path / "_SUCCESS").touch()
    assert parquet_files(files) == []
