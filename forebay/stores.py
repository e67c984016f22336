"""The light half of the wiring: what a command needs that runs no model and serves no HTTP."""

import logging
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from forebay.settings import Settings
from forebay.slowly import said_when_slow
from pipelines.store.notices_local import LocalNotices
from pipelines.store.opening import Migrate, open_store, parse
from pipelines.store.sql import SqlStore

if TYPE_CHECKING:
    from forebay.redis_parts import RedisParts
    from pipelines.redis.notices import RedisNotices
    from pipelines.store.notices_postgres import PostgresNotices

log = logging.getLogger("forebay")


def store_of(settings: Settings, *, patience: float | None = None, hold: float = 0.0) -> SqlStore:
    """The store of these settings; `patience` in seconds lies inside the lease by default.

    The embedded store, and an empty database, are brought to this release's level. A PostgreSQL store that is in use is
    migrated by `forebay db upgrade` alone, when the operator says so.
    """
    embedded = parse(settings.store_url).get_backend_name() == "sqlite"
    within = settings.lease / 3 if patience is None else patience
    migrate: Migrate = "always" if embedded else "empty"
    with patiently(settings.store_url):
        return open_store(
            settings.store_url, broker=settings.queue != "store", migrate=migrate, patience=within, hold=hold
        )


def patiently(url: str) -> AbstractContextManager[None]:
    """Opening the store may wait for it; whoever watches is told. Raises StoreAway for what is no URL of a store."""
    shown = parse(url).render_as_string(hide_password=True)
    return said_when_slow(f"waiting for the store {shown}", lambda line: log.warning("%s", line))


def notices_of(
    settings: Settings, redis: "RedisParts | None" = None
) -> "LocalNotices | PostgresNotices | RedisNotices":
    """Through Redis where there is one, with the store's own way behind it."""
    own = _stores_notices(settings)
    return own if redis is None else redis.notices(own)


def _stores_notices(settings: Settings) -> "LocalNotices | PostgresNotices":
    url = parse(settings.store_url)
    if url.get_backend_name() == "sqlite":
        return LocalNotices(settings.home / "wake")
    from pipelines.store.notices_postgres import PostgresNotices

    return PostgresNotices(url)
