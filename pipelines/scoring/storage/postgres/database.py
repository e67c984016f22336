"""Transactions of one output, each on a connection of its own: nothing is kept open that a firewall could cut."""

import contextlib
from collections.abc import Iterator
from typing import Any, LiteralString

import psycopg
from psycopg import errors
from psycopg.sql import SQL, Composable, Composed, Identifier

from pipelines.scoring.faults import BadInput, BadOrder, StorageFault
from pipelines.scoring.storage.naming import TABLE
from pipelines.scoring.storage.postgres.address import TableAddress
from pipelines.store.keepalive import KEEPALIVE

Connection = psycopg.Connection[Any]

_CONNECT_S = 5
_LIMITS = "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '60s'; SET LOCAL idle_in_transaction_session_timeout = '60s'"
"""Who stands still in the middle of a transaction loses it, and the rows that it locked are free again. Parts and
publications take what they take; who waits for somebody else's lock is told."""
_PLAIN = "SET LOCAL client_encoding = 'UTF8'; SET LOCAL datestyle = 'ISO, YMD'; SET LOCAL intervalstyle = 'postgres'"
_MOST_CHARS = 400


class Database:
    def __init__(self, at: TableAddress) -> None:
        self.at = at
        self.is_ready = False
        """Whether Forebay's own tables were seen in it."""

    def connect(self) -> Connection:
        """Raises psycopg.Error, BadOrder."""
        try:
            return psycopg.connect(
                self.at.server, connect_timeout=_CONNECT_S, application_name="forebay score", **KEEPALIVE
            )
        except psycopg.ProgrammingError:  # its text quotes what it did not understand, which may be the password
            raise BadOrder(f"output {self.at}: the client library does not understand the address") from None

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Committed at its end. Raises StorageFault."""
        with self.told(), self.connect() as connection:
            connection.execute(f"{_LIMITS}; {_PLAIN}")
            yield connection

    @contextlib.contextmanager
    def told(self) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as fault:
            raise told(self.at, fault) from fault

    def sql(self, text: LiteralString, **more: Composable) -> Composed:
        """`{schema}`, `{table}` and `{rejects}` are this output's; `{scoring}`, `{locks}`, `{records}`, `{parts}` Forebay's
        own tables in the same schema."""
        return SQL(text).format(**self._names(), **more)

    def own(self, name: str) -> Identifier:
        return Identifier(self.at.schema, name)

    def _names(self) -> dict[str, Composable]:
        return {
            "schema": Identifier(self.at.schema),
            "table": self.own(self.at.table),
            "rejects": self.own(self.at.rejects),
            "scoring": self.own(SCORING),
            "locks": self.own(LOCKS),
            "records": self.own(RECORDS),
            "parts": self.own(PARTS),
        }


SCORING, LOCKS, RECORDS, PARTS = TABLE, f"{TABLE}_locks", f"{TABLE}_records", f"{TABLE}_parts"


def told(at: TableAddress, fault: psycopg.Error) -> StorageFault | BadInput:
    """One line, with PostgreSQL's own words. Rows that the table does not take are the input's fault."""
    where = f"output {at}"
    match fault:
        case errors.LockNotAvailable():
            return StorageFault(
                f"{where}: waited 60 s for somebody's lock: see pg_stat_activity, then start the same command again"
            )
        case psycopg.DataError() | psycopg.IntegrityError():
            return BadInput(f"{where}: rows that PostgreSQL does not take: {line(fault)}")
        case errors.InsufficientPrivilege():
            return StorageFault(f"{where}: no permission: {line(fault)}; see docs/how-to/score-storage.md")
        case errors.InvalidSchemaName():
            return StorageFault(f"{where}: {line(fault)}: make it, or name another")
        case _:
            return StorageFault(f"{where}: {line(fault)}")


def line(fault: psycopg.Error) -> str:
    """With the row and column that PostgreSQL names."""
    diag = fault.diag
    more = [part.splitlines()[0] for part in (diag.message_detail, diag.context) if part]
    text = "; ".join([diag.message_primary or str(fault) or type(fault).__name__, *more])
    return " ".join(text.split())[:_MOST_CHARS]
