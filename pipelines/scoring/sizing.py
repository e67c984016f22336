"""How many rows go from step to step together."""

from collections.abc import Collection, Iterable

import pyarrow.parquet as pq

ROWS = 65_536
"""At least, where rows are narrow: the largest batch of the model, as often as it fits."""
BYTES = 16 << 20
"""At most, as far as the footers tell; a handful of batches is in memory at a time. They tell too little of texts that
are much the same in all rows, of which a file has each once."""


def rows_at_once(footers: Iterable[pq.FileMetaData], names: Collection[str], batch: int) -> int:
    """By the widest row group, so that it is the same however often a run goes on. `names`: columns that are read.
    `batch`: the model's largest; a multiple of it, unless that many rows are too much to have in memory."""
    fitting = int(BYTES / max(1.0, max((_width(footer, names) for footer in footers), default=1.0)))
    if fitting < batch:
        return max(1, fitting)
    return batch * min(max(1, -(-ROWS // batch)), fitting // batch)


def _width(footer: pq.FileMetaData, names: Collection[str]) -> float:
    """Bytes of a row, of the widest row group."""
    groups = [footer.row_group(number) for number in range(footer.num_row_groups)]
    return max((_bytes(group, names) / max(1, group.num_rows) for group in groups), default=0.0)


def _bytes(group: pq.RowGroupMetaData, names: Collection[str]) -> int:
    columns = (group.column(place) for place in range(group.num_columns))
    return sum(each.total_uncompressed_size for each in columns if each.path_in_schema.split(".")[0] in names)
