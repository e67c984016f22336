"""The lock of a table: one row, beaten over a connection that is kept, so that the server knows when its holder is gone."""

import contextlib
import threading
from collections.abc import Iterator

import msgspec
import psycopg

from pipelines.scoring.faults import StorageFault
from pipelines.scoring.storage.lock import Holder, Seen, Times
from pipelines.scoring.storage.postgres import fence
from pipelines.scoring.storage.postgres.database import LOCKS, Connection, Database

TIMES = Times(beat=1.0, lease=20.0, look=0.5)
_GONE_S = 2.5
"""A holder whose connection is no more would have beaten over another one by then."""
_LIMITS = "SET LOCAL statement_timeout = '3s'; SET LOCAL idle_in_transaction_session_timeout = '3s'"

# backend_start is not shown to other roles: then the process number alone has to do.
_READ = """
SELECT holder::text, version, extract(epoch FROM clock_timestamp() - beaten_at)::float8,
    NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.pid = l.backend
        AND (a.backend_start IS NULL OR a.backend_start = l.backend_start))
FROM {locks} l WHERE output = %s"""
_ROW = """%(output)s, %(token)s, %(holder)s::json, {version}, clock_timestamp(), pg_backend_pid(),
    (SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid())"""
_COLUMNS = "output, token, holder, version, beaten_at, backend, backend_start"
_MAKE = f"INSERT INTO {{locks}} ({_COLUMNS}) SELECT {_ROW.format(version=1)} ON CONFLICT DO NOTHING RETURNING version"
# Nobody takes it over while its holder writes under it; the holder's own beats go on.
_SWAP = f"""UPDATE {{locks}} SET ({_COLUMNS}) = (SELECT {_ROW.format(version="version + 1")})
WHERE output = %(output)s AND version = %(tag)s AND (token = %(token)s OR pg_try_advisory_xact_lock(%(fence)s))
RETURNING version"""  # noqa: S608  # put together from constants


class RowCell:
    """See `pipelines.scoring.storage.lock.Cell`."""

    name = LOCKS

    def __init__(self, database: Database) -> None:
        self.at = f"output {database.at}"
        self._database = database
        self._kept: Connection | None = None
        self._using = threading.Lock()

    def read(self) -> Seen | None:
        with self._transaction() as connection:
            found = connection.execute(self._database.sql(_READ), [self._database.at.table]).fetchone()
        if found is None:
            return None
        data, version, age, ended = found
        try:
            holder = msgspec.json.decode(data, type=Holder)
        except msgspec.DecodeError:
            raise StorageFault(f"{self.at}: its row of {LOCKS} is of another version of Forebay: delete it") from None
        return Seen(holder, str(version), age, ended and age >= _GONE_S)

    def write(self, holder: Holder, tag: str | None) -> str | None:
        values = {
            "output": self._database.at.table,
            "token": holder.token,
            "holder": msgspec.json.encode(holder).decode(),
            "fence": fence.number(self._database),
            "tag": None if tag is None else int(tag),
        }
        with self._transaction() as connection:
            found = connection.execute(self._database.sql(_MAKE if tag is None else _SWAP), values).fetchone()
        if not holder.holder:
            self.close()  # released: nobody needs to know any more whether we are there
        return None if found is None else str(found[0])

    def close(self) -> None:
        kept, self._kept = self._kept, None
        if kept is not None:
            kept.close()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[Connection]:
        try:
            with self._using, self._database.told():
                if self._kept is None or self._kept.closed:
                    self._kept = self._database.connect()
                with self._kept.transaction():
                    self._kept.execute(_LIMITS)
                    yield self._kept
        except StorageFault as fault:
            if isinstance(fault.__cause__, psycopg.OperationalError):
                self.close()
            raise
