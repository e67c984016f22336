"""An input on a file system of this machine."""

import os
from pathlib import Path

import pytest

from pipelines.scoring.faults import InputChanged
from pipelines.scoring.files_local import LocalFiles


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
