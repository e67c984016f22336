"""Rows that cannot be scored: a file beside the output's parts, with each row as it was, and why."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

import numpy as np
import pyarrow as pa

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
    theirs = [_beside(reader.schema(place)) for place in by_file]
    schema = pa.unify_schemas([_SCHEMA, *theirs], promote_options="permissive")
    file = ParquetFile(parts, f"{FOLDER}/{path}", schema)
    try:
        for place, of_file in by_file.items():
            for table in _tables(of_file, reader.originals(place, _rows(of_file)), files[place].path):
                for batch in _as(schema, table).to_batches():
                    file.write(batch)
        return file.finish()
    except BaseException:
        file.discard()
        raise


def _tables(rejects: Sequence[Reject], originals: Iterable[pa.RecordBatch], name: str) -> Iterator[pa.Table]:
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
        beside = {field.name: batch.column(field.name) for field in _beside(batch.schema)}
        yield pa.table(columns | beside)


def _rows(rejects: Sequence[Reject]) -> np.ndarray:
    return np.array([reject.row for reject in rejects], dtype=np.int64)


def _beside(schema: pa.Schema) -> pa.Schema:
    """Without columns of ours: rejects of rejects keep what they were."""
    return pa.schema([field for field in schema if field.name not in OURS])


def _as(schema: pa.Schema, table: pa.Table) -> pa.Table:
    """With the columns of all files; null where its own has none."""
    return pa.concat_tables([schema.empty_table(), table], promote_options="permissive").select(schema.names)
