"""What is written under the lock of a table says so, in the same transaction."""

from pipelines.scoring.faults import LockLost
from pipelines.scoring.storage.postgres.database import Connection, Database

_SEE = "SELECT token FROM {locks} WHERE output = %s FOR SHARE"
_LOCK = "SELECT token FROM {locks} WHERE output = %s FOR UPDATE"
_BEAT = "UPDATE {locks} SET version = version + 1, beaten_at = clock_timestamp() WHERE output = %s"


def check(connection: Connection, database: Database, token: str, decide: bool = False) -> None:
    """Nobody takes it over before the end of the transaction. `decide`: nor does the holder beat. Raises LockLost."""
    found = connection.execute(database.sql(_LOCK if decide else _SEE), [database.at.table]).fetchone()
    if found is None or found[0] != token:
        raise LockLost(f"output {database.at}: somebody took the lock over: start the same command again")


def beat(connection: Connection, database: Database) -> None:
    """As the last of a transaction in which the holder could not: who waited for it finds a holder that is alive."""
    connection.execute(database.sql(_BEAT), [database.at.table])
