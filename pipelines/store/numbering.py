"""The number of a row, `seq`: never used a second time. A worker may hold a claim of a row that is gone, and payloads are named
after rows.

PostgreSQL's sequence sees to that. SQLite gives the highest number there is and one, so that the newest row's comes again
once that row is deleted: who deletes leaves a mark (a row of `leases` that is nobody's lease), and who inserts goes by it.
"""

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection

from pipelines.store.database import Database

_NAME = "jobs.seq"

SQLITE_NEXT = f"""1 + max(coalesce((SELECT max(seq) FROM jobs), 0),
    coalesce((SELECT CAST(until AS INTEGER) FROM leases WHERE name = '{_NAME}'), 0))"""

_MARK = f"""
INSERT INTO leases (name, holder, until) VALUES ('{_NAME}', '', :highest)
ON CONFLICT (name) DO UPDATE SET until = max(leases.until, excluded.until)
"""


def keep_from_use(db: Database, connection: Connection, rows: Collection[Any]) -> None:
    """Before these rows are deleted, within the same transaction."""
    if db.dialect.name == "sqlite":
        db.run(connection, _MARK, highest=max(row.seq for row in rows))
