"""How many rows go from step to step together."""

from collections.abc import Collection, Iterable

import pyarrow.parquet as pq

ROWS = 65_536
"""At least, where rows are narrow: the largest batch of the model, as often as it fits."""
BYTES = 16 << 20
"""At most, as far as the footers tell; a handful of batches is in memory at a time. They tell too little of texts that
are much the same in all rows, of which a file has each once: `repeated`."""
MOST_BYTES = 2 * BYTES
"""At most, as the rows turn out to be."""
_FIXED = {"BOOLEAN": 0.125, "INT32": 4.0, "INT64": 8.0, "INT96": 12.0, "FLOAT": 4.0, "DOUBLE": 8.0}
"""Bytes of a value in memory, however few they are in the file."""
_TEXTS = "BYTE_ARRAY"
_OFFSET = 4.0
_SUSPECT = 256 << 20
"""Bytes of a column's batch if each of its rows had all that its dictionary holds."""


def heads(names: Iterable[str]) -> frozenset[str]:
    """What columns begin with, up to the first dot."""
    return frozenset(name.split(".")[0] for name in names)


def rows_at_once(footers: Iterable[pq.FileMetaData], names: Collection[str] | None, batch: int) -> int:
    """By the widest row group, so that it is the same however often a run goes on. `names`: columns that are read, all of
    them for None. `batch`: the model's largest; a multiple of it, unless that many rows are too much to have in memory."""
    fitting = int(BYTES / max(1.0, max((_width(footer, names) for footer in footers), default=1.0)))
    if fitting < batch:
        return max(1, fitting)
    return batch * min(max(1, -(-ROWS // batch)), fitting // batch)


def repeated(footer: pq.FileMetaData, names: Collection[str] | None, rows: int) -> list[str]:
    """Columns, by their paths, of which so many rows may be far more than the file says: those of texts that it keeps in
    dictionaries, and that had better stay in them until it is known how long each row's is."""
    found = [
        column.path_in_schema
        for number in range(footer.num_row_groups)
        for column in _columns(footer.row_group(number), names)
        if column.physical_type == _TEXTS and column.has_dictionary_page and "." not in column.path_in_schema
        if column.total_uncompressed_size * rows > _SUSPECT
    ]
    return list(dict.fromkeys(found))


def _width(footer: pq.FileMetaData, names: Collection[str] | None) -> float:
    """Bytes of a row, of the widest row group."""
    groups = [footer.row_group(number) for number in range(footer.num_row_groups)]
    return max((sum(map(_bytes, _columns(group, names))) / max(1, group.num_rows) for group in groups), default=0.0)


def _columns(group: pq.RowGroupMetaData, names: Collection[str] | None) -> Iterable[pq.ColumnChunkMetaData]:
    columns = (group.column(place) for place in range(group.num_columns))
    return (each for each in columns if names is None or each.path_in_schema.split(".")[0] in names)


def _bytes(chunk: pq.ColumnChunkMetaData) -> float:
    return float(max(chunk.total_uncompressed_size, chunk.num_values * _FIXED.get(chunk.physical_type, _OFFSET)))
