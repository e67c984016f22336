"""From a URL to an open store: engines with the right pragmas, pools and time-outs."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from sqlalchemy import URL, Engine, create_engine, make_url
from sqlalchemy.exc import ArgumentError

from pipelines.store.database import DIALECTS, Database, sqlite_engine_events
from pipelines.store.keepalive import KEEPALIVE
from pipelines.store.migrating import check_level, upgrade, upgrade_if_empty
from pipelines.store.port import StoreAway
from pipelines.store.same_file import SameFile
from pipelines.store.sql import SqlStore

Migrate = Literal["always", "empty", "never"]
_PREPARE: dict[Migrate, Callable[[Database], int]] = {
    "always": upgrade,
    "empty": upgrade_if_empty,
    "never": check_level,
}
_EXPECTED = "expected sqlite:///path/to/file.db or postgresql://user:password@host:5432/database"

STATEMENT_MS = 30_000
IDLE_MS = 20_000
"""A process that is frozen in the middle of a transaction loses it, and the rows that it locked are free again."""


def open_store(
    url: str,
    *,
    broker: bool = False,
    migrate: Migrate = "always",
    patience: float = 10.0,
    skew: float = 0.0,
    hold: float = 0.0,
) -> SqlStore:
    """Open the store at `url`, brought up to this code's level `always`, only when it is `empty`, or `never`. `hold`: for how
    long rows that are submitted here are sent by nobody else.

    Raises `StoreAway`, one line, when it is not there, not reachable or of a level that this code cannot serve.
    """
    db = open_database(url, patience=patience, skew=skew)
    try:
        _PREPARE[migrate](db)
    except BaseException:
        db.close()
        raise
    return SqlStore(db, broker=broker, hold=hold if broker else 0.0)


def open_database(url: str, *, patience: float = 10.0, skew: float = 0.0) -> Database:
    parsed = parse(url)
    name = parsed.get_backend_name()
    if name == "sqlite":
        guard = SameFile(os.path.abspath(str(parsed.database)))
        return Database(_sqlite(parsed), DIALECTS[name], patience=patience, skew=skew, guard=guard)
    return Database(_postgres(parsed), DIALECTS[name], patience=patience, skew=skew)


def parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as fault:  # ValueError: a port that is no number
        raise StoreAway(f"store: {_EXPECTED}") from fault
    if parsed.drivername not in ("sqlite", "postgresql", "postgresql+psycopg", "postgres"):
        raise StoreAway(f"store: {parsed.drivername!r} is not supported, {_EXPECTED}")
    if "\0" in (parsed.database or ""):
        raise StoreAway(f"store: U+0000 is in no name, {_EXPECTED}")
    if parsed.drivername == "sqlite":
        return _a_file(parsed)
    return parsed.set(drivername="postgresql+psycopg")


def _a_file(url: URL) -> URL:
    if not url.database or url.database == ":memory:":
        raise StoreAway("store: a SQLite store needs a file, expected sqlite:///path/to/file.db")
    if url.host or url.port or url.username is not None or url.query:
        raise StoreAway("store: a SQLite store has no host, user or options, expected sqlite:///path/to/file.db")
    return url


def _sqlite(url: URL) -> Engine:
    folder = Path(str(url.database)).absolute().parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise StoreAway(f"store {url}: cannot make the folder {folder}: {fault.strerror}") from fault
    engine = create_engine(url, pool_size=8, max_overflow=8, pool_timeout=5, connect_args={"check_same_thread": False})
    sqlite_engine_events(engine)
    return engine


def _postgres(url: URL) -> Engine:
    limits = f"-c statement_timeout={STATEMENT_MS} -c idle_in_transaction_session_timeout={IDLE_MS}"
    arguments = {"connect_timeout": 5, "application_name": "forebay", "options": limits, **KEEPALIVE}
    return create_engine(url, pool_size=8, max_overflow=8, pool_timeout=5, pool_pre_ping=False, connect_args=arguments)
