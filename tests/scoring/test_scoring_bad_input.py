"""Input that does not fit: one clear line, nothing published."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.scoring.ground import Ground, contents, ground, scored, table, write_input

ROWS = 1200


@pytest.fixture
def on(tmp_path: Path) -> Ground:
    return ground(tmp_path, rows=ROWS)


def _refused(on: Ground, *more: str) -> str:
    ended = on.score(*more)
    assert ended.code == 1, ended
    assert not Path(on.output).exists()
    assert ended.said.count("\n") == 1, "one line"
    return ended.said


def test_a_column_that_is_missing_is_named(on: Ground) -> None:
    pq.write_table(table(10).drop_columns(["f3", "f7"]), Path(on.input) / "in-9.parquet")
    said = _refused(on)
    assert "in-9.parquet" in said
    assert "f3" in said
    assert "f7" in said


def test_a_type_that_does_not_fit_is_named_with_what_was_expected(on: Ground) -> None:
    changed = table(10, f3=pa.array(["x"] * 10))
    pq.write_table(changed, Path(on.input) / "in-9.parquet")
    said = _refused(on)
    assert "f3" in said
    assert "string" in said


def test_a_truncated_file_is_named_and_passed_over_when_asked(on: Ground) -> None:
    whole = (Path(on.input) / "in-1.parquet").read_bytes()
    (Path(on.input) / "in-1.parquet").write_bytes(whole[: len(whole) // 2])
    (Path(on.input) / "in-4.parquet").write_bytes(b"no parquet")
    said = _refused(on)
    assert "in-1.parquet" in said
    assert "in-4.parquet" in said
    summary = on.score("--skip-corrupt", "--passthrough", "id").summary
    assert (summary["rows"], summary["skipped"]) == (2 * ROWS // 3, 2)


def test_bytes_that_are_broken_inside_are_named(on: Ground) -> None:
    path = Path(on.input) / "in-1.parquet"
    data = bytearray(path.read_bytes())
    data[4:4000] = b"\xff" * 3996
    path.write_bytes(data)
    said = _refused(on)
    assert "in-1.parquet" in said
    assert "row group 0" in said


def test_an_empty_partition_is_a_valid_empty_output(on: Ground) -> None:
    for path in Path(on.input).iterdir():
        path.unlink()
    pq.write_table(table(0), Path(on.input) / "empty.parquet")
    assert on.score("--passthrough", "id").summary["rows"] == 0
    found = scored(Path(on.output))
    assert (found.num_rows, found.schema.names) == (0, ["id", "score"])


def test_a_condition_that_no_row_meets_is_one_too(on: Ground) -> None:
    assert on.score("--where", "id < 0").summary["rows"] == 0
    assert scored(Path(on.output)).schema.names == ["score"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--where", "idd = 3"), "idd"),
        (("--where", "id = 'x'"), "id"),
        (("--where", "__import__('os')"), "where"),
        (("--passthrough", "idd"), "id"),
        (("--passthrough", "score"), "output of the model"),
        (("--columns", "features=nothing"), "nothing"),
        (("--run-id", "../x"), "run"),
    ],
)
def test_an_order_that_cannot_be_met_is_told(options: tuple[str, str], told: str, on: Ground) -> None:
    assert told in _refused(on, *options)


def test_a_folder_that_is_not_there_or_holds_nothing_of_ours(on: Ground, tmp_path: Path) -> None:
    gone = Ground(on.folder, on.models, str(tmp_path / "gone"), on.output)
    assert "no such file or folder" in _refused(gone)
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.csv").write_text("1,2")
    assert "no Parquet files" in _refused(Ground(on.folder, on.models, str(tmp_path / "texts"), on.output))


def test_files_of_somebody_else_are_never_replaced(on: Ground) -> None:
    Path(on.output).mkdir()
    (Path(on.output) / "precious.txt").write_text("1")
    ended = on.score()
    assert ended.code == 1
    assert "precious.txt" in ended.said
    assert "overwrite" not in ended.said
    assert (Path(on.output) / "precious.txt").exists()


def test_a_schema_that_changes_between_files_in_other_columns_is_fine(on: Ground) -> None:
    pq.write_table(table(10, 5000, extra=pa.array(["x"] * 10)), Path(on.input) / "in-9.parquet")
    wide = table(10, 6000)
    wide = wide.set_column(1, "f0", wide.column("f0").cast(pa.float64()))
    pq.write_table(wide, Path(on.input) / "in-8.parquet")
    assert on.score("--passthrough", "id").summary["rows"] == ROWS + 20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_is_full_is_told_and_the_run_goes_on_when_there_is_room(small_disk: Path, tmp_path: Path) -> None:
    on = ground(tmp_path / "data", output=str(small_disk / "out"), rows=120_000, group=10_000)
    options = ("--part-rows", "20000", "--passthrough", "id", "--run-id", "r")
    ended = on.score(*options)
    assert ended.code == 1
    assert "No space left" in ended.said or "full" in ended.said
    assert ended.said.count("\n") <= 2
    assert not (small_disk / "out").exists()
    subprocess.run(["mount", "-o", "remount,size=20m", str(small_disk)], check=True)
    again = on.score(*options)
    assert again.summary["rows"] == 120_000
    assert np.array_equal(np.sort(scored(small_disk / "out").column("id").to_numpy()), np.arange(120_000))
    assert contents(small_disk / "out")


def test_rows_of_a_hive_input_keep_their_folder(tmp_path: Path) -> None:
    on = ground(tmp_path, rows=10)
    for path in Path(on.input).iterdir():
        path.unlink()
    for region in ("eu", "us"):
        write_input(Path(on.input) / "dt=2026-11-20" / f"region={region}", rows=100, files=1)
    on.score("--passthrough", "id")
    assert {Path(path).parent.name for path in contents(Path(on.output))} == {"region=eu", "region=us"}
    assert scored(Path(on.output)).num_rows == 200
