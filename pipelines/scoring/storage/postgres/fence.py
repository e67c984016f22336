"""What is written under the lock of a table: nobody takes the lock over before the end of that transaction."""

import hashlib

from pipelines.scoring.faults import LockLost
from pipelines.scoring.storage.postgres.database import Connection, Database

_TOKEN = "SELECT token FROM {locks} WHERE output = %s"


def number(database: Database) -> int:
    """Of the advisory lock that those share who write under the lock of this table; who takes it over needs it alone."""
    named = f"forebay {database.at.database} {database.at.schema}.{database.at.table}"
    return int.from_bytes(hashlib.sha256(named.encode()).digest()[:8], signed=True)


def check(connection: Connection, database: Database, token: str) -> None:
    """Raises LockLost."""
    connection.execute("SELECT pg_advisory_xact_lock_shared(%s)", [number(database)])
    found = connection.execute(database.sql(_TOKEN), [database.at.table]).fetchone()
    if found is None or found[0] != token:
        raise LockLost(f"output {database.at}: somebody took the lock over: start the same command again")
