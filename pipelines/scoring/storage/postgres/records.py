"""Records of an unfinished run, as rows."""

from pipelines.scoring.storage.naming import checked_record
from pipelines.scoring.storage.postgres import fence, tables
from pipelines.scoring.storage.postgres.database import RECORDS, Database

_GET = "SELECT data FROM {records} WHERE output = %s AND run_id = %s AND name = %s"
_PUT = """INSERT INTO {records} (output, run_id, name, data) VALUES (%s, %s, %s, %s)
    ON CONFLICT (output, run_id, name) DO UPDATE SET data = EXCLUDED.data"""
_DROP = "DELETE FROM {records} WHERE output = %s AND run_id = %s AND name = %s"


class RowRecords:
    """See `pipelines.scoring.storage.port.Records`."""

    def __init__(self, database: Database, run_id: str, token: str | None) -> None:
        """`token`: of the lock that is held here; None: somebody else's to see to."""
        self._database = database
        self._run_id = run_id
        self._token = token

    def get(self, name: str) -> bytes | None:
        with self._database.transaction() as connection:
            if not tables.exists(connection, self._database, RECORDS):
                return None
            found = connection.execute(self._database.sql(_GET), self._place(name)).fetchone()
        return None if found is None else bytes(found[0])

    def put(self, name: str, data: bytes) -> None:
        """Raises LockLost."""
        place = self._place(name)
        tables.make(self._database)
        with self._database.transaction() as connection:
            if self._token is not None:
                fence.check(connection, self._database, self._token)
            connection.execute(self._database.sql(_PUT), [*place, data])

    def drop(self, name: str) -> None:
        place = self._place(name)
        tables.make(self._database)
        with self._database.transaction() as connection:
            connection.execute(self._database.sql(_DROP), place)

    def _place(self, name: str) -> list[str]:
        return [self._database.at.table, self._run_id, checked_record(name)]
