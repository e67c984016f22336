"""Rows that cannot be scored: a file beside the output's parts, with each row as it was, and why."""

from collections.abc import Iterator, Sequence
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
OURS = (ID, PATH, PLACE, REASON, ERROR, ATTEMPTS)


def write_rejects(
    parts: Parts, path: str, rejects: Sequence[Reject], reader: Reader, files: Sequence[InputFile]
) -> StoredFile | None:
    """`rejects`: in the order of the part. None without any."""
    if not rejects:
        return None
    table = pa.concat_tables(_tables(rejects, reader, files), promote_options="permissive")
    file = ParquetFile(parts, f"{FOLDER}/{path}", table.schema)
    try:
        for batch in table.to_batches():
            file.write(batch)
        return file.finish()
    except BaseException:
        file.discard()
        raise


def _tables(rejects: Sequence[Reject], reader: Reader, files: Sequence[InputFile]) -> Iterator[pa.Table]:
    for place, group in groupby(rejects, key=lambda reject: reject.file):
        of_file = list(group)
        originals = reader.originals(place, np.array([reject.row for reject in of_file], dtype=np.int64))
        name = files[place].path
        columns = {
            ID: pa.array([f"{name}:{reject.row}" for reject in of_file]),
            PATH: pa.repeat(name, len(of_file)),
            PLACE: pa.array([reject.row for reject in of_file], pa.int64()),
            REASON: pa.array([str(reject.reason) for reject in of_file]),
            ERROR: pa.array([reject.error for reject in of_file]),
            ATTEMPTS: pa.array([reject.attempts for reject in of_file], pa.int32()),
        }
        for column in originals.schema.names:
            if column not in OURS:  # rejects of rejects keep what they were
                columns[column] = originals.column(column)
        yield pa.table(columns)
