"""A part's file: row groups of the same size, whatever the batches were."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.scoring.storage.port import PartFile, Parts
from schemas.scoring import StoredFile

ROW_GROUP = 131_072
"""Rows, unless they are wide."""
BYTES = 32 << 20
"""Of a row group that is ended before: what waits for it is in memory."""


class ParquetFile:
    """Begun with its first row: a file without rows is only written when it is asked for."""

    def __init__(self, parts: Parts, path: str, schema: pa.Schema) -> None:
        self._parts = parts
        self._path = path
        self._schema = schema
        self._file: PartFile | None = None
        self._writer: pq.ParquetWriter | None = None
        self._waiting: list[pa.RecordBatch] = []
        self._count = self._bytes = 0
        self.rows = 0

    def write(self, batch: pa.RecordBatch) -> None:
        self.rows += batch.num_rows
        while batch.num_rows:
            taken = batch.slice(0, ROW_GROUP - self._count)
            self._waiting.append(taken)
            self._count += taken.num_rows
            self._bytes += taken.nbytes
            batch = batch.slice(taken.num_rows)
            if self._count == ROW_GROUP or self._bytes >= BYTES:
                self._flush()

    def finish(self, even_empty: bool = False) -> StoredFile | None:
        """None when there was no row, unless `even_empty`."""
        if self._waiting:
            self._flush()
        if self._file is None and not even_empty:
            return None
        self._opened().close()
        assert self._file is not None
        return self._file.finish(self.rows)

    def discard(self) -> None:
        """Nothing after `finish`."""
        if self._file is not None:
            self._file.discard()

    def _flush(self) -> None:
        self._opened().write_table(pa.Table.from_batches(self._waiting, self._schema), ROW_GROUP)
        self._waiting, self._count, self._bytes = [], 0, 0

    def _opened(self) -> pq.ParquetWriter:
        if self._writer is None:
            self._file = self._parts.begin(self._path)
            # Numbers are seldom few enough for a dictionary to pay, and trying costs as much as writing them.
            self._writer = pq.ParquetWriter(self._file, self._schema, use_dictionary=_texts(self._schema))
        return self._writer


def _texts(schema: pa.Schema) -> Sequence[str]:
    return [
        field.name
        for field in schema
        if pa.types.is_string(field.type) or pa.types.is_large_string(field.type) or pa.types.is_dictionary(field.type)
    ]
