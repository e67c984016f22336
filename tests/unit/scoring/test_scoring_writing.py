"""Row groups of the output."""

import io

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.scoring.storage.port import PartFile
from pipelines.scoring.writing import BYTES, ROW_GROUP, ParquetFile
from schemas.scoring import StoredFile


class Kept(io.BytesIO):
    def finish(self, rows: int) -> StoredFile:
        return StoredFile("x.parquet", rows, len(self.getvalue()), "")

    def discard(self) -> None: ...

    def close(self) -> None:
        """Read afterwards."""


class Memory:
    def __init__(self) -> None:
        self.file = Kept()

    def begin(self, path: str) -> PartFile:
        return self.file

    def holds(self, file: StoredFile) -> bool:
        return True


def row_groups(batch: pa.RecordBatch, times: int) -> list[int]:
    memory = Memory()
    file = ParquetFile(memory, "x.parquet", batch.schema)
    for _ in range(times):
        file.write(batch)
    assert file.finish() is not None
    footer = pq.read_metadata(io.BytesIO(memory.file.getvalue()))
    return [footer.row_group(number).num_rows for number in range(footer.num_row_groups)]


def test_narrow_rows_make_row_groups_of_one_size() -> None:
    batch = pa.RecordBatch.from_pydict({"x": pa.array(range(100_000), pa.int32())})
    assert row_groups(batch, 3) == [ROW_GROUP, ROW_GROUP, 300_000 - 2 * ROW_GROUP]


def test_wide_rows_are_written_before_they_fill_the_memory() -> None:
    batch = pa.RecordBatch.from_pydict({"x": [b"\0" * (1 << 20)] * 10})
    each = -(-BYTES // (10 << 20)) * 10  # whole batches until so many bytes wait
    assert row_groups(batch, 9) == [each, each, 90 - 2 * each]


def test_slices_count_by_what_is_theirs() -> None:
    whole = pa.RecordBatch.from_pydict({"x": [b"\0" * (1 << 20)] * 100})
    assert row_groups(whole.slice(0, 1), 20) == [20]
