"""Staging tables: what their columns are, and how batches of a part become rows of them."""

from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Struct
from psycopg import sql

from pipelines.scoring.faults import BadInput
from pipelines.scoring.rejecting import ATTEMPTS, ERROR, ID, OURS, PATH, PLACE, REASON
from pipelines.scoring.storage.postgres import tables
from pipelines.scoring.storage.postgres.database import Database
from pipelines.scoring.storage.postgres.json_values import INSTEAD_OF_NUL, HoldsNul, json_text
from pipelines.scoring.storage.postgres.rendering import rendered
from pipelines.scoring.storage.postgres.types import column_type, stored

PART = "_forebay_part"
"""Column of the part that a row came with."""
ORIGINAL = "columns"
"""Column of a reject's own columns."""
REJECT_COLUMNS = (
    (ID, "text"), (PATH, "text"), (PLACE, "bigint"), (REASON, "text"), (ERROR, "text"), (ATTEMPTS, "integer"),
    (ORIGINAL, "jsonb"),
)  # fmt: skip
_MOST_BYTES = 63
"""Of a name: PostgreSQL cuts off what is longer, without a word."""

Columns = tuple[tuple[str, str], ...]
"""Name and type."""


class Shape(Struct, frozen=True):
    staging: str
    columns: Columns
    texts: Callable[[pa.RecordBatch, int], list[pa.Array]]
    """A batch's columns as COPY's text format has them, not escaped. The number is its first row's. Raises BadInput."""


def make(database: Database, shape: Shape) -> None:
    """Nothing when it is there. Raises StorageFault."""
    columns = [(PART, "bigint"), *shape.columns]
    listed = sql.SQL(", ").join(sql.SQL("{} {}").format(sql.Identifier(name), typed(kind)) for name, kind in columns)
    with database.transaction() as connection:
        if tables.exists(connection, database, shape.staging):
            return
        tables.one_at_a_time(connection, database, shape.staging)
        statement = "CREATE TABLE IF NOT EXISTS {staging} ({columns}) WITH (autovacuum_enabled = off)"
        connection.execute(database.sql(statement, staging=database.own(shape.staging), columns=listed))


def typed(kind: str) -> sql.SQL:
    """`kind`: of `column_type`, or of PostgreSQL's own catalog."""
    return sql.SQL(kind)


def rows_shape(database: Database, run_id: str, path: str, schema: pa.Schema) -> Shape:
    """Raises BadInput for names that PostgreSQL has no columns for."""
    _check_names(database, schema.names)

    def texts(batch: pa.RecordBatch, first: int) -> list[pa.Array]:
        return [_told(database, path, name, batch.column(name), first) for name in schema.names]

    columns = tuple((field.name, column_type(field.type)) for field in schema)
    return Shape(tables.staging_of(database.at.table, run_id), columns, texts)


def rejects_shape(database: Database, run_id: str) -> Shape:
    return Shape(tables.rejected_of(database.at.table, run_id), REJECT_COLUMNS, _reject_texts)


def _reject_texts(batch: pa.RecordBatch, first: int) -> list[pa.Array]:
    """Their own columns as one object: whatever is in them, they are kept."""
    own = [name for name in batch.schema.names if name not in OURS]
    shortened = [_shortened(batch.column(name)) for name in own]
    rows = pa.RecordBatch.from_arrays(shortened, own).to_pylist() if own else [{}] * batch.num_rows
    originals = pa.array([json_text(row, replace_nul=True) for row in rows], pa.large_string())
    return [*(_without_nul(batch.column(name)) for name, _ in REJECT_COLUMNS[:-1]), originals]


def _without_nul(values: pa.Array) -> pa.Array:
    return pc.replace_substring(values.cast(pa.large_string()), "\0", INSTEAD_OF_NUL)


def _shortened(values: pa.Array) -> pa.Array:
    """Python has no nanoseconds."""
    kind = stored(values.type)
    if not pa.types.is_timestamp(kind) or kind.unit != "ns":
        return values
    return values.cast(pa.timestamp("us", kind.tz), safe=False)


def _told(database: Database, path: str, name: str, values: pa.Array, first: int) -> pa.Array:
    where = f"output {database.at}: column {name!r}"
    try:
        return rendered(values)
    except HoldsNul as fault:
        raise BadInput(
            f"{where}: row {first + fault.args[0]:,} of {path} holds U+0000, which no text of PostgreSQL can: clean it, or"
            " leave the column out"
        ) from None
    except (pa.ArrowException, ValueError, OverflowError) as fault:
        raise BadInput(f"{where}: {values.type} of {path} cannot be written: {' '.join(str(fault).split())}") from None


def _check_names(database: Database, names: list[str]) -> None:
    for name in names:
        if not name or "\0" in name or len(name.encode()) > _MOST_BYTES or name == PART:
            raise BadInput(f"output {database.at}: column {name!r}: expected a name of 1 to {_MOST_BYTES} bytes")
    if len(set(names)) != len(names):
        raise BadInput(f"output {database.at}: two columns have the same name: {', '.join(names)}")
