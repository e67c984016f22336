"""How many rows are in memory together."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.scoring.sizing import BYTES, ROWS, rows_at_once


def footer(folder: Path, width: int, rows: int = 200) -> pq.FileMetaData:
    """Of a column `x` of numbers and one of texts of so many characters."""
    text = [f"{row:08}" * (width // 8) for row in range(rows)]
    path = folder / f"{width}.parquet"
    pq.write_table(pa.table({"x": np.arange(rows), "text": text}), path, row_group_size=rows // 2, compression="none")
    return pq.read_metadata(path)


@pytest.mark.parametrize(("batch", "rows"), [(1, ROWS), (1024, ROWS), (1000, 66_000), (100_000, 100_000)])
def test_narrow_rows_go_by_the_models_batch(tmp_path: Path, batch: int, rows: int) -> None:
    assert rows_at_once([footer(tmp_path, 1)], {"x"}, batch) == rows


@pytest.mark.parametrize("batch", [1, 7, 64, 1024])
def test_wide_rows_are_fewer(tmp_path: Path, batch: int) -> None:
    found = [footer(tmp_path, 1), footer(tmp_path, 50_000)]
    rows = rows_at_once(found, {"x", "text"}, batch)
    assert rows * 50_000 <= BYTES < (rows + batch) * 51_000
    assert rows % batch == 0 or rows < batch


def test_only_what_is_read_counts(tmp_path: Path) -> None:
    assert rows_at_once([footer(tmp_path, 50_000)], {"x"}, 1024) == ROWS


def test_a_row_wider_than_all_that_may_be_in_memory_goes_alone(tmp_path: Path) -> None:
    assert rows_at_once([footer(tmp_path, 40 << 20, rows=2)], {"text"}, 16) == 1


def test_nothing_to_read(tmp_path: Path) -> None:
    path = tmp_path / "empty.parquet"
    pq.write_table(pa.table({"x": pa.array([], pa.int64())}), path)
    assert rows_at_once([pq.read_metadata(path)], {"x"}, 8) == rows_at_once([], {"x"}, 8) == ROWS


def test_numbers_count_as_what_they_are_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "same.parquet"
    pq.write_table(pa.table({f"x{n}": np.zeros(100_000) for n in range(64)}), path)
    assert path.stat().st_size < 100_000
    assert rows_at_once([pq.read_metadata(path)], [f"x{n}" for n in range(64)], 1) * 64 * 8 <= BYTES
