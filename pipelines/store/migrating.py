"""Bringing a store up to this code's level, and telling whether this code may run on the store it finds.

Migrations only add. So a worker of the last release keeps running on a store that a newer release has migrated, as long
as that release does not name it too old (`store_level.oldest_code`).
"""

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from pipelines.store.database import Database
from pipelines.store.port import StoreAway
from schemas.tables import LEVEL

_LOCK = 4_625_190_011
"""PostgreSQL advisory lock: two processes that start together migrate one after the other."""


def upgrade(db: Database) -> int:
    """Apply what is missing; returns the store's level. A store newer than this code is left as it is."""

    def work(connection: Connection) -> int:
        if db.dialect.name == "postgresql":
            connection.execute(text("SET LOCAL statement_timeout = 0"))  # an index on millions of rows takes its time
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        level = level_of(connection)
        if level is None or level < LEVEL:
            _apply(connection)
        return _compatible(db, connection)

    return db.write(work)


def upgrade_if_empty(db: Database) -> int:
    """Make the tables where there are none; a store that is there is only checked, as `check_level` does."""
    return upgrade(db) if db.read(level_of) is None else check_level(db)


def check_level(db: Database) -> int:
    return db.read(lambda connection: _compatible(db, connection))


def _compatible(db: Database, connection: Connection) -> int:
    level = level_of(connection)
    if level is None or level < LEVEL:
        raise StoreAway(
            f"store {db.place}: it is at level {level or 0}, this release needs {LEVEL}: run `forebay db upgrade`"
        )
    oldest = connection.execute(text("SELECT oldest_code FROM store_level WHERE one = 1")).scalar_one()
    if oldest > LEVEL:
        raise StoreAway(
            f"store {db.place}: a newer release has migrated it to level {level} and shuts out this one (level {LEVEL}): "
            "upgrade forebay"
        )
    return level


def level_of(connection: Connection) -> int | None:
    """The newest migration applied; None when there is no store yet."""
    if not inspect(connection).has_table("store_level"):
        return None
    return connection.execute(text("SELECT level FROM store_level WHERE one = 1")).scalar_one_or_none()


def _apply(connection: Connection) -> None:
    from alembic import command  # loaded only where there is something to apply: it takes a third of a second
    from alembic.config import Config

    import schemas.migrations

    config = Config()
    config.set_main_option("script_location", str(Path(schemas.migrations.__path__[0])))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
