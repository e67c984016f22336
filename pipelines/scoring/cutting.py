"""Batches cut again: by rows, and by the bytes that they are in memory. Only what is in them decides where."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as types

from pipelines.scoring.arrays import values_of
from pipelines.scoring.placed import Placed, joined


def recut(batches: Iterator[Placed], rows: int, most: int) -> Iterator[Placed]:
    """Batches of `rows` rows, whatever they came in; fewer at the end, before a row that makes it more than `most` bytes,
    and where the next file has its columns in other types."""
    waiting: list[Placed] = []
    count = size = 0
    for batch in batches:
        while batch.count:
            taken = batch.cut(0, rows - count)
            more = taken.batch.nbytes
            if waiting and (size + more > most or taken.batch.schema != waiting[0].batch.schema):
                yield joined(waiting)
                waiting, count, size = [], 0, 0
                continue
            waiting.append(taken)
            count, size = count + taken.count, size + more
            batch = batch.cut(taken.count, batch.count)
            if count == rows:
                yield joined(waiting)
                waiting, count, size = [], 0, 0
    if waiting:
        yield joined(waiting)


def by_bytes(batch: pa.RecordBatch, most: int) -> Iterator[tuple[int, int]]:
    """From where to where in it, so that each piece, its dictionaries decoded, is not much more than `most` bytes."""
    widths = _widths(batch)
    if widths is None or widths.sum() <= most:
        yield 0, batch.num_rows
        return
    start = size = 0
    for place, width in enumerate(widths.tolist()):
        if size + width > most and place > start:
            yield start, place
            start, size = place, 0
        size += width
    yield start, batch.num_rows


def _widths(batch: pa.RecordBatch) -> np.ndarray | None:
    """Bytes of each row that come of dictionaries; None without any. The others are bounded by what the footers tell."""
    found = [_lengths(column) for column in batch.columns if types.is_dictionary(column.type)]
    known = [each for each in found if each is not None]
    return np.sum(known, axis=0) if known else None


def _lengths(column: pa.DictionaryArray) -> np.ndarray | None:
    kind = column.type.value_type
    if not (
        types.is_string(kind) or types.is_large_string(kind) or types.is_binary(kind) or types.is_large_binary(kind)
    ):
        return None
    lengths = pc.fill_null(pc.binary_length(column.dictionary).take(column.indices), 0)
    return values_of(lengths).astype(np.int64)
