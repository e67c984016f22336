"""The light half of the wiring: what a command needs that runs no model and serves no HTTP."""

from typing import TYPE_CHECKING

from forebay.settings import Settings
from pipelines.store.notices_local import LocalNotices
from pipelines.store.opening import Migrate, open_store, parse
from pipelines.store.sql import SqlStore

if TYPE_CHECKING:
    from forebay.redis_parts import RedisParts
    from pipelines.redis.notices import RedisNotices
    from pipelines.store.notices_postgres import PostgresNotices


def store_of(settings: Settings, *, patience: float | None = None, hold: float = 0.0) -> SqlStore:
    """The store of these settings; `patience` in seconds lies inside the lease by default.

    The embedded store, and an empty database, are brought to this release's level. A PostgreSQL store that is in use is
    migrated by `forebay db upgrade` alone, when the operator says so.
    """
    embedded = parse(settings.store_url).get_backend_name() == "sqlite"
    within = settings.lease / 3 if patience is None else patience
    migrate: Migrate = "always" if embedded else "empty"
    return open_store(settings.store_url, broker=settings.queue != "store", migrate=migrate, patience=within, hold=hold)


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
