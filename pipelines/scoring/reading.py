"""Record batches of a part: row groups streamed, filtered, and cut again to the same size, wherever the row groups end."""

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from msgspec import Struct

from pipelines.scoring.arrays import array_of
from pipelines.scoring.dataset import DataSet, one_line
from pipelines.scoring.faults import BadInput
from pipelines.scoring.hive import Partitions
from schemas.scoring import InputFile, PartPlan, Skipped

FILE, ROW = "_forebay_file", "_forebay_row"
"""Columns beside the input's own: which file of the plan, and which row of it, from 0."""
_BUFFER = 1 << 20
"""Bytes of a column that are read at once: memory does not grow with the row group."""


class Wanted(Struct, frozen=True):
    """What is read of each file."""

    names: tuple[str, ...]
    """Columns and, by dots, fields of columns; partitions are told apart."""
    kept: tuple[pa.Field, ...]
    """Columns that go to the output, and their types there."""
    where: pc.Expression | None
    rows: int
    """Of a batch; the last of a part may have fewer."""


class Reader:
    """Of one data set. One iteration at a time."""

    def __init__(
        self, data: DataSet, files: Sequence[InputFile], partitions: Partitions, wanted: Wanted, skip_corrupt: bool
    ) -> None:
        self._data = data
        self._files = files
        self._partitions = partitions
        self._wanted = wanted
        self._skip_corrupt = skip_corrupt
        self.skipped: list[Skipped] = []
        """Row groups that could not be read, of the part that was read last."""

    def batches(self, part: PartPlan) -> Iterator[pa.RecordBatch]:
        """With FILE and ROW in front. Raises BadInput."""
        self.skipped = []
        return _recut(self._filtered(part), self._wanted.rows)

    def schema(self, file: int) -> pa.Schema:
        """Of all its columns."""
        return self._data.schema(self._files[file].path)

    def originals(self, file: int, rows: np.ndarray) -> Iterator[pa.RecordBatch]:
        """These rows of a file, rising, with all their columns; some at a time."""
        source = self._files[file]
        starts = _starts(source)
        with self._opened(source) as opened:
            for group in np.unique(np.searchsorted(starts, rows, side="right") - 1):
                first = int(starts[group])
                for batch in opened.iter_batches(self._wanted.rows, row_groups=[int(group)], use_threads=True):
                    here = rows[(rows >= first) & (rows < first + batch.num_rows)] - first
                    if len(here):
                        yield batch.take(array_of(here))
                    first += batch.num_rows

    def _filtered(self, part: PartPlan) -> Iterator[pa.RecordBatch]:
        for piece in part.pieces:
            file = self._files[piece.file]
            starts = _starts(file)
            with self._opened(file) as opened:
                for group in piece.row_groups:
                    first = int(starts[group])
                    for batch in self._group(opened, file, group):
                        yield from self._kept(self._placed(batch, piece.file, first, part.folder))
                        first += batch.num_rows

    def _group(self, opened: pq.ParquetFile, file: InputFile, group: int) -> Iterator[pa.RecordBatch]:
        names = [name for name in self._wanted.names if name.split(".")[0] not in self._partitions.types]
        try:
            yield from opened.iter_batches(self._wanted.rows, row_groups=[group], columns=names, use_threads=True)
        except (pa.ArrowException, OSError) as fault:
            why = f"row group {group} cannot be read: {one_line(fault)}"
            if not self._skip_corrupt:
                raise BadInput(
                    f"{self._data.files.name}: {file.path}: {why}; repair the file, or pass over it with --skip-corrupt"
                ) from fault
            self.skipped.append(Skipped(file.path, why))

    def _opened(self, file: InputFile) -> pq.ParquetFile:
        remote = self._data.files.remote
        return pq.ParquetFile(
            self._data.files.open(file.path), metadata=self._data.footers.get(file.path), pre_buffer=remote,
            buffer_size=0 if remote else _BUFFER,
        )  # fmt: skip

    def _placed(self, batch: pa.RecordBatch, file: int, first: int, folder: str) -> pa.RecordBatch:
        rows = batch.num_rows
        columns = {
            FILE: array_of(np.full(rows, file, np.int32)),
            ROW: array_of(np.arange(first, first + rows, dtype=np.int64)),
            **{name: batch.column(place) for place, name in enumerate(batch.schema.names)},
            **self._partitions.columns(folder, rows, self._wanted.names),
        }
        for field in self._wanted.kept:
            if columns[field.name].type != field.type:
                columns[field.name] = columns[field.name].cast(field.type)
        return pa.RecordBatch.from_pydict(columns)

    def _kept(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        if self._wanted.where is None:
            yield batch
        else:
            yield from pa.Table.from_batches([batch]).filter(self._wanted.where).to_batches()


def _starts(file: InputFile) -> np.ndarray:
    """The first row of each row group."""
    return np.cumsum((0, *file.row_groups[:-1]))


def _recut(batches: Iterator[pa.RecordBatch], rows: int) -> Iterator[pa.RecordBatch]:
    """Batches of exactly `rows` rows, but for the last."""
    waiting: list[pa.RecordBatch] = []
    count = 0
    for batch in batches:
        while batch.num_rows:
            taken = batch.slice(0, rows - count)
            waiting.append(taken)
            count += taken.num_rows
            batch = batch.slice(taken.num_rows)
            if count == rows:
                yield _joined(waiting)
                waiting, count = [], 0
    if waiting:
        yield _joined(waiting)


def _joined(batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    if len(batches) == 1:
        return batches[0]
    if all(batch.schema.equals(batches[0].schema) for batch in batches):
        return pa.concat_batches(batches)
    tables = [pa.Table.from_batches([batch]) for batch in batches]  # of files whose types differ
    return pa.concat_tables(tables, promote_options="permissive").combine_chunks().to_batches()[0]
