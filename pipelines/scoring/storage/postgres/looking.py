"""What is published in a table."""

from msgspec import Struct

from pipelines.scoring.faults import OtherRun, SharedOutput
from pipelines.scoring.storage import manifests
from pipelines.scoring.storage.manifests import Current
from pipelines.scoring.storage.postgres import tables
from pipelines.scoring.storage.postgres.database import SCORING, Connection, Database
from schemas.scoring import Pointer, encode

_ROWS = """SELECT run_id, fence, manifest::text, table_oid::bigint, rejects_oid::bigint FROM {scoring} WHERE output = %s
    ORDER BY fence DESC"""
_FILLED = "SELECT 1 FROM {table} LIMIT 1"
_FENCE = "SELECT max(fence) FROM {scoring} WHERE output = %s"


class There(Struct, frozen=True):
    """Of one run whose rows are in the table."""

    current: Current
    rejects: int | None
    """The rejects' table."""


def look(connection: Connection, database: Database, run_id: str | None) -> There | None:
    """What this run finds published: where rows are upserted, many runs share the table, and each finds its own. None as
    `run_id`: the last one. None: nothing. Raises OtherRun."""
    there = tables.oid_of(connection, database, database.at.table)
    if there is None:
        return None
    rows = _rows(connection, database)
    ours = [row for row in rows if row[3] == there]
    if not ours:
        if connection.execute(database.sql(_FILLED)).fetchone() is None:
            return None
        where = f"output {database.at}: there is a table with rows that are not of Forebay: name another output"
        if database.at.mode == "upsert":
            raise SharedOutput(f"{where}, or --overwrite: rows with other keys than the run's stay as they are")
        raise OtherRun(f"{where}, or empty it")
    mine = ours if database.at.mode == "replace" or run_id is None else [row for row in ours if row[0] == run_id]
    return _decoded(database, mine[0]) if mine else None


def last_fence(connection: Connection, database: Database) -> int:
    """Of the output: a lock that was removed begins above it."""
    found = connection.execute(database.sql(_FENCE), [database.at.table]).fetchone()
    return 0 if found is None else int(found[0] or 0)


def own_rejects(connection: Connection, database: Database) -> set[int]:
    """Tables of rejects that were made for this output."""
    return {row[4] for row in _rows(connection, database) if row[4] is not None}


def _rows(connection: Connection, database: Database) -> list[tuple[str, int, str, int | None, int | None]]:
    if not tables.exists(connection, database, SCORING):
        return []
    found = connection.execute(database.sql(_ROWS), [database.at.table]).fetchall()
    return [(row[0], row[1], row[2], row[3], row[4]) for row in found]


def _decoded(database: Database, row: tuple[str, int, str, int | None, int | None]) -> There:
    pointer = encode(Pointer(row[0], SCORING, row[1]))
    return There(manifests.current(pointer, row[2].encode(), f"output {database.at}"), row[4])
