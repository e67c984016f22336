"""Where a run must not write: told at its start, specifically, and nothing is touched."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipelines.scoring.faults import BadInput, BadOrder, OtherRun, StorageFault
from tests.scoring.ground import table
from tests.scoring.here import Here, here


@pytest.fixture
def on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Here:
    monkeypatch.chdir(tmp_path)
    on = here(tmp_path)
    pq.write_table(table(20), on.input / "a.parquet")
    return on


def everything(on: Here) -> set[str]:
    return {path.relative_to(on.folder).as_posix() for path in on.folder.rglob("*")}


@pytest.mark.parametrize("overwrite", [False, True])
def test_an_output_in_the_input_is_refused_before_anything_is_made(on: Here, overwrite: bool) -> None:
    before = everything(on)
    with pytest.raises(BadOrder, match="it lies in the input"):
        on.score(output=str(on.input / "scores"), overwrite=overwrite)
    assert everything(on) == before


@pytest.mark.parametrize("overwrite", [False, True])
def test_what_is_in_the_way_is_told_at_once(on: Here, overwrite: bool) -> None:
    (on.folder / "theirs").mkdir()
    (on.folder / "theirs" / "precious.txt").write_text("1")
    (on.folder / "link").symlink_to("theirs")
    (on.folder / "file").write_text("1")
    before = everything(on)
    for name, kind, told in (
        ("theirs", OtherRun, "not of Forebay, 'precious.txt'"),
        ("link", StorageFault, "symbolic link"),
        ("file", StorageFault, "it is a file, and a folder is wanted"),
    ):
        with pytest.raises(kind, match=told) as refused:
            on.score(output=str(on.folder / name), overwrite=overwrite)
        assert "overwrite" not in str(refused.value)
    assert everything(on) == before


@pytest.mark.parametrize("path", ["precious.txt", "dt=1/theirs.parquet", "link"])
def test_files_that_somebody_put_into_an_output_are_not_replaced(on: Here, path: str) -> None:
    on.score(run_id="r")
    theirs = on.output / path
    theirs.parent.mkdir(exist_ok=True)
    if path == "link":
        theirs.symlink_to("..")
    else:
        theirs.write_text("1")
    with pytest.raises(OtherRun, match=f"not of Forebay, '{path}': name another output, or move that away"):
        on.score(run_id="s", overwrite=True)
    assert theirs.exists()
    theirs.unlink()
    assert on.score(run_id="s", overwrite=True).rows == 20


def test_a_file_that_comes_into_the_output_meanwhile_is_not_replaced_either(on: Here) -> None:
    on.score(run_id="r")
    late = on.output / "late.txt"
    with pytest.raises(OtherRun, match=r"late\.txt"):
        on.score(run_id="s", overwrite=True, at="before-publish", then=lambda: late.write_text("1"))
    assert late.read_text() == "1"


def test_names_that_are_too_long_together_are_told_in_a_short_line(on: Here) -> None:
    before = everything(on)
    with pytest.raises(BadOrder, match="at most 255 bytes") as refused:
        on.score(output=str(on.folder / ("b" * 150)), run_id="a" * 128)
    assert len(str(refused.value)) < 300
    assert everything(on) == before


def test_a_run_that_fails_before_its_first_part_leaves_nothing(on: Here) -> None:
    (on.input / "b.parquet").write_bytes(b"not Parquet")
    with pytest.raises(BadInput):
        on.score()
    with pytest.raises(BadOrder):
        on.score(where="nothing = 3", skip_corrupt=True)
    left = {path.name for path in on.folder.iterdir()} - {"in", "models", "home"}
    assert left == {".out.forebay-lock"}
