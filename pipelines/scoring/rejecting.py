"""Rows that cannot be scored: a file beside the output's parts, with each row as it was, and why."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

import numpy as np
import pyarrow as pa

from pipelines.scoring.kinds import Apart, common, plain
from pipelines.scoring.predicting import Reject
from pipelines.scoring.reading import Reader
from pipelines.scoring.storage.port import Parts
from pipelines.scoring.writing import ParquetFile
from schemas.scoring import InputFile, StoredFile

FOLDER = "_rejects"
ID, PATH, PLACE, REASON, ERROR, ATTEMPTS = (
    "_forebay_row_id", "_forebay_path", "_forebay_row", "_forebay_reason", "_forebay_error", "_forebay_attempts",
)  # fmt: skip
_SCHEMA = pa.schema(
    [
        (ID, pa.string()), (PATH, pa.string()), (PLACE, pa.int64()), (REASON, pa.string()), (ERROR, pa.string()),
        (ATTEMPTS, pa.int32()),
    ]
)  # fmt: skip
OURS = frozenset(_SCHEMA.names)


def write_rejects(
    parts: Parts, path: str, rejects: Sequence[Reject], reader: Reader, files: Sequence[InputFile]
) -> StoredFile | None:
    """`rejects`: in the order of the part. None without any."""
    if not rejects:
        return None
    by_file = {place: list(group) for place, group in groupby(rejects, key=lambda reject: reject.file)}
    theirs = [reader.schema(place) for place in by_file]
    schema = pa.schema([*_SCHEMA, *_together(theirs)])
    file = ParquetFile(parts, f"{FOLDER}/{path}", schema)
    try:
        for place, of_file in by_file.items():
            for table in _tables(of_file, reader.originals(place, _rows(of_file)), files[place].path):
                file.write(_as(schema, table))
        return file.finish()
    except BaseException:
        file.discard()
        raise


def _tables(rejects: Sequence[Reject], originals: Iterable[pa.RecordBatch], name: str) -> Iterator[pa.RecordBatch]:
    at = 0
    for batch in originals:
        here = rejects[at : at + batch.num_rows]
        at += batch.num_rows
        columns = {
            ID: pa.array([f"{name}:{reject.row}" for reject in here]),
            PATH: pa.repeat(name, len(here)),
            PLACE: pa.array([reject.row for reject in here], pa.int64()),
            REASON: pa.array([str(reject.reason) for reject in here]),
            ERROR: pa.array([reject.error for reject in here]),
            ATTEMPTS: pa.array([reject.attempts for reject in here], pa.int32()),
        }
        beside = {name: batch.column(place) for name, place in _beside(batch.schema).items()}
        yield pa.RecordBatch.from_pydict(columns | beside)


def _rows(rejects: Sequence[Reject]) -> np.ndarray:
    return np.array([reject.row for reject in rejects], dtype=np.int64)


def _beside(schema: pa.Schema) -> dict[str, int]:
    """Where its columns are, without columns of ours: rejects of rejects keep what they were. Of those with one name the first
    is kept: nobody could ask for the others."""
    return {name: place for place, name in reversed(list(enumerate(schema.names))) if name not in OURS}


def _together(schemas: Sequence[pa.Schema]) -> Iterator[pa.Field]:
    """The columns of all files; texts where their types do not go together."""
    kinds: dict[str, list[pa.DataType]] = {}
    for schema in schemas:
        for name, place in sorted(_beside(schema).items(), key=lambda each: each[1]):
            kinds.setdefault(name, []).append(plain(schema.field(place).type))
    for name, found in kinds.items():
        try:
            yield pa.field(name, common(found))
        except Apart:
            yield pa.field(name, pa.string())


def _as(schema: pa.Schema, batch: pa.RecordBatch) -> pa.RecordBatch:
    """With the columns of all files; null where its own has none."""
    places = dict(zip(batch.schema.names, batch.columns, strict=True))
    arrays = [
        _cast(places[field.name], field.type) if field.name in places else pa.nulls(batch.num_rows, field.type)
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _cast(array: pa.Array, kind: pa.DataType) -> pa.Array:
    if array.type == kind:
        return array
    try:
        return array.cast(kind)
    except pa.ArrowException:
        if pa.types.is_floating(kind):
            return array.cast(kind, safe=False)  # rounded beats lost
        return pa.array([None if value is None else str(value) for value in array.to_pylist()], pa.string()).cast(kind)
