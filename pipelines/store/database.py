"""One database: its connections, transactions, clock, and what counts as it being away."""

import sqlite3
from collections.abc import Callable
from functools import cached_property, lru_cache
from typing import Any, TypeVar

import tenacity
from sqlalchemy import Connection, Engine, TextClause, event, text
from sqlalchemy.exc import DBAPIError, TimeoutError

from pipelines.store.dialect import POSTGRES, SQLITE, Dialect, Fields
from pipelines.store.port import StoreAway

T = TypeVar("T")

# Codes of PostgreSQL after which the same transaction may succeed: serialization failure, deadlock, lock not available,
# the connection exceptions (08…), and the server stopping or starting (57P0x), too many connections.
_PASSING = ("40001", "40P01", "55P03", "08", "57P0", "53300")
_AWAY = ("53", "58", "25006")
"""Out of resources (disk full), system error, read-only."""


_NO_WAIT = text("SET LOCAL synchronous_commit TO off")


class Database:
    def __init__(
        self,
        engine: Engine,
        dialect: Dialect,
        patience: float = 10.0,
        skew: float = 0.0,
        guard: Callable[[], None] = lambda: None,
    ) -> None:
        self.engine = engine
        self.dialect = dialect
        self.patience = patience
        """Seconds that a transaction is tried again while the database is away; must lie inside the lease."""
        self.skew = skew
        """Seconds added to the database's clock: tests move time instead of sleeping."""
        self._guard = guard
        """Called before every transaction; raises StoreAway while there must be none."""

    def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in one transaction, again on passing faults. `work` must be safe to repeat."""
        return self._patiently(lambda: self._write_once(work))

    def read(self, work: Callable[[Connection], T]) -> T:
        return self._patiently(lambda: self._read_once(work))

    def sql(self, template: str, fields: Fields = ()) -> TextClause:
        """The statement of a template (`Dialect.expand`)."""
        return _statement(self.dialect, template, fields)

    def run(self, connection: Connection, template: str, fields: Fields = (), **values: Any) -> Any:
        """Execute a template. With `fields`, `rows` holds the batch (`dialect.pack`)."""
        statement = self.sql(template, fields)
        if ":skew" in statement.text:
            values["skew"] = self.skew
        return connection.execute(statement, values)

    def never_mind(self, connection: Connection) -> None:
        """This transaction may be lost when the database crashes: nobody waits for its disk."""
        if self.dialect.name == "postgresql":
            connection.execute(_NO_WAIT)

    @cached_property
    def place(self) -> str:
        """Where it is, for messages: never with a password."""
        return self.engine.url.render_as_string(hide_password=True)

    def close(self) -> None:
        self.engine.dispose()

    def _write_once(self, work: Callable[[Connection], T]) -> T:
        self._guard()
        with self.engine.begin() as connection:
            return work(connection)

    def _read_once(self, work: Callable[[Connection], T]) -> T:
        self._guard()
        with self.engine.connect() as connection:
            return work(connection.execution_options(**_READING[self.dialect.name]))

    def _patiently(self, attempt: Callable[[], T]) -> T:
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(is_passing),
            wait=tenacity.wait_exponential(multiplier=0.02, max=1.0) + tenacity.wait_random(0.0, 0.05),
            stop=tenacity.stop_after_delay(self.patience),
            reraise=True,
        )
        try:
            return retrying(attempt)
        except Exception as fault:
            if is_passing(fault) or is_away(fault):
                raise StoreAway(self._away(fault)) from fault
            raise

    def _away(self, fault: Exception) -> str:
        cause = str(getattr(fault, "orig", None) or fault).strip().splitlines()[0]
        return f"store {self.place}: {cause}"


@lru_cache(maxsize=256)
def _statement(dialect: Dialect, template: str, fields: Fields) -> TextClause:
    return text(dialect.expand(template, fields))


def is_passing(fault: BaseException) -> bool:
    """Whether the same transaction may succeed a moment later."""
    if isinstance(fault, TimeoutError):
        return True
    if not isinstance(fault, DBAPIError):
        return False
    if fault.connection_invalidated:
        return True
    if isinstance(fault.orig, sqlite3.OperationalError):
        return any(word in str(fault.orig) for word in ("locked", "busy"))
    code = getattr(fault.orig, "sqlstate", None)
    if code is None:  # psycopg's connection failures carry none
        return type(fault.orig).__name__ in ("OperationalError", "ConnectionTimeout", "AdminShutdown")
    return str(code).startswith(_PASSING)


def is_away(fault: BaseException) -> bool:
    """Whether it is the database's trouble (full, read-only, unreadable), not our statement's."""
    if not isinstance(fault, DBAPIError):
        return False
    if isinstance(fault.orig, sqlite3.OperationalError):
        return any(
            word in str(fault.orig) for word in ("full", "readonly", "disk I/O", "unable to open", "no such table")
        )
    if isinstance(fault.orig, sqlite3.DatabaseError):
        return any(word in str(fault.orig) for word in ("malformed", "not a database"))
    return str(getattr(fault.orig, "sqlstate", None) or "").startswith(_AWAY)


def sqlite_engine_events(engine: Engine) -> None:
    """WAL, every commit synced, and writers that take their lock at BEGIN rather than fail in the middle."""

    @event.listens_for(engine, "connect")
    def _connect(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # SQLAlchemy's begin event below says BEGIN, not the driver
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=5000", "temp_store=MEMORY"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        if not connection.get_execution_options().get("forebay_reading"):
            connection.exec_driver_sql("BEGIN IMMEDIATE")


# Reads take no lock and need no transaction of their own.
_READING: dict[str, dict[str, Any]] = {
    "sqlite": {"forebay_reading": True},
    "postgresql": {"isolation_level": "AUTOCOMMIT"},
}

DIALECTS: dict[str, Dialect] = {"sqlite": SQLITE, "postgresql": POSTGRES}
