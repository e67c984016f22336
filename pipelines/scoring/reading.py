"""Record batches of a part: row groups streamed, filtered, and cut again to the same size, wherever the row groups end."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from msgspec import Struct

from pipelines.scoring.arrays import array_of
from pipelines.scoring.cutting import by_bytes, recut
from pipelines.scoring.dataset import DataSet, one_line
from pipelines.scoring.faults import BadInput
from pipelines.scoring.filtering import Filter
from pipelines.scoring.hive import Partitions
from pipelines.scoring.kinds import plain
from pipelines.scoring.placed import Placed
from pipelines.scoring.sizing import BYTES, MOST_BYTES, heads, repeated, rows_at_once
from pipelines.scoring.sources import Source, sources, with_partitions
from schemas.scoring import InputFile, PartPlan, Skipped

_BUFFER = 1 << 20
"""Bytes of a column that are read at once: memory does not grow with the row group."""


class Wanted(Struct, frozen=True):
    """What is read of each file."""

    names: tuple[str, ...]
    """Columns and, by dots, fields of columns."""
    kept: tuple[pa.Field, ...]
    """Columns that go to the output, and their types there."""
    where: Filter | None
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
        self._heads = heads(wanted.names)
        self._skip_corrupt = skip_corrupt
        self.skipped: list[Skipped] = []
        """Row groups that could not be read, of the part that was read last."""

    def batches(self, part: PartPlan) -> Iterator[Placed]:
        """Columns have the names that they were asked for by. Raises BadInput."""
        self.skipped = []
        return recut(self._filtered(part), self._wanted.rows, MOST_BYTES)

    def schema(self, file: int) -> pa.Schema:
        """Of all its columns."""
        return self._data.schema(self._files[file].path)

    def originals(self, file: int, rows: np.ndarray) -> Iterator[pa.RecordBatch]:
        """These rows of a file, rising, with all their columns; some at a time."""
        source = self._files[file]
        starts = _starts(source)
        footer = self._data.footers[source.path]
        most = rows_at_once([footer], None, 1)
        with self._opened(source, repeated(footer, None, most)) as opened:
            for group in np.unique(np.searchsorted(starts, rows, side="right") - 1):
                first = int(starts[group])
                for batch in opened.iter_batches(most, row_groups=[int(group)], use_threads=True):
                    here = rows[(rows >= first) & (rows < first + batch.num_rows)] - first
                    if len(here):
                        yield from _pieces(_plain(batch).take(array_of(here)))
                    first += batch.num_rows

    def _filtered(self, part: PartPlan) -> Iterator[Placed]:
        for piece in part.pieces:
            file = self._files[piece.file]
            found = self._sources(file)
            starts = _starts(file)
            footer = self._data.footers[file.path]
            with self._opened(file, repeated(footer, self._heads, self._wanted.rows)) as opened:
                for group in piece.row_groups:
                    first = int(starts[group])
                    for batch in self._group(opened, file, group, found):
                        for some in _pieces(self._read(batch, part.folder, found)):
                            yield self._kept(_placed(some, piece.file, first), file, found)
                            first += some.num_rows

    def _sources(self, file: InputFile) -> tuple[Source, ...]:
        schema = with_partitions(self._data.schema(file.path), self._partitions)
        kinds = {} if self._wanted.where is None else self._wanted.where.kinds
        elsewhere = {**kinds, **{field.name: field.type for field in self._wanted.kept}}
        return sources(schema, self._wanted.names, elsewhere)

    def _group(
        self, opened: pq.ParquetFile, file: InputFile, group: int, found: Sequence[Source]
    ) -> Iterator[pa.RecordBatch]:
        own = [".".join(each.path) for each in found if each.path and each.path[0] not in self._partitions.types]
        try:
            yield from opened.iter_batches(self._wanted.rows, row_groups=[group], columns=own, use_threads=True)
        except (pa.ArrowException, OSError) as fault:
            why = f"row group {group} cannot be read: {one_line(fault)}"
            if not self._skip_corrupt:
                raise BadInput(
                    f"{self._data.files.name}: {file.path}: {why}; repair the file, or pass over it with --skip-corrupt"
                ) from fault
            self.skipped.append(Skipped(file.path, why))

    def _opened(self, file: InputFile, as_dictionary: Sequence[str]) -> pq.ParquetFile:
        remote = self._data.files.remote
        return pq.ParquetFile(
            self._data.files.open(file.path), metadata=self._data.footers.get(file.path), pre_buffer=remote,
            buffer_size=0 if remote else _BUFFER, read_dictionary=list(as_dictionary),
        )  # fmt: skip

    def _read(self, batch: pa.RecordBatch, folder: str, found: Sequence[Source]) -> pa.RecordBatch:
        """With dictionaries where the file was opened so."""
        partitions = self._partitions.columns(folder, batch.num_rows, self._wanted.names)
        arrays = [partitions[each.name] if each.name in partitions else each.array(batch) for each in found]
        return pa.RecordBatch.from_arrays(arrays, [each.name for each in found])

    def _kept(self, placed: Placed, file: InputFile, found: Sequence[Source]) -> Placed:
        """Rows that are wanted, in the types that the file has, and the output for what goes there."""
        placed = _typed(placed, {each.name: each.kind for each in found})
        if self._wanted.where is not None:
            placed = self._wanted.where.rows(placed)
        try:
            return _typed(placed, {field.name: field.type for field in self._wanted.kept})
        except pa.ArrowException as fault:
            raise BadInput(
                f"{self._data.files.name}: {file.path}: a value does not fit the type that all files' columns of its name have "
                f"together: {one_line(fault)}; write them in one type, or leave it out of --passthrough"
            ) from fault


def _placed(batch: pa.RecordBatch, file: int, first: int) -> Placed:
    rows = batch.num_rows
    return Placed(batch, np.full(rows, file, np.int32), np.arange(first, first + rows, dtype=np.int64))


def _typed(placed: Placed, kinds: Mapping[str, pa.DataType]) -> Placed:
    batch = placed.batch
    arrays = [
        array if kinds.get(name, array.type) == array.type else array.cast(kinds[name])
        for name, array in zip(batch.schema.names, batch.columns, strict=True)
    ]
    return Placed(pa.RecordBatch.from_arrays(arrays, batch.schema.names), placed.files, placed.rows)


def _plain(batch: pa.RecordBatch) -> pa.RecordBatch:
    arrays = [array if plain(array.type) == array.type else array.cast(plain(array.type)) for array in batch.columns]
    return pa.RecordBatch.from_arrays(arrays, batch.schema.names)


def _pieces(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    for start, end in by_bytes(batch, BYTES):
        yield batch.slice(start, end - start)


def _starts(file: InputFile) -> np.ndarray:
    """The first row of each row group."""
    return np.cumsum((0, *file.row_groups[:-1]))
