"""The wiring of Redis: what a process that was given FOREBAY_REDIS has of it."""

import logging
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from forebay.settings import BadSettings, Settings
from pipelines.redis.address import RedisPlace
from pipelines.store.port import Store

if TYPE_CHECKING:
    from api.rates import Shared
    from api.reader import Kept
    from pipelines.redis.notices import ClosableNotices, RedisNotices

log = logging.getLogger("forebay")


class RedisParts:
    """One per process. Nothing in it waits for Redis to be there."""

    def __init__(self, at: RedisPlace) -> None:
        """Raises BadSettings without Redis's client."""
        try:
            from pipelines.redis.health import Health
        except ImportError as missing:
            raise BadSettings(
                "FOREBAY_REDIS: Redis's client is not installed: pip install 'forebay[redis]'"
            ) from missing
        self._at = at
        self.health = Health(at, log.warning, time.monotonic)

    def notices(self, otherwise: "ClosableNotices") -> "RedisNotices":
        from pipelines.redis.notices import RedisNotices

        return RedisNotices(self._at, self.health, otherwise)

    def results(self, settings: Settings, stack: ExitStack) -> "Kept":
        from pipelines.redis.results import RedisResults

        results = RedisResults(self._at, self.health, settings.retention, time.time)
        stack.callback(results.close)
        return results

    def buckets(self, settings: Settings, stack: ExitStack) -> "Shared | None":
        """None without a rate limit."""
        from pipelines.redis.buckets import RedisBuckets

        if settings.rate is None:
            return None
        buckets = RedisBuckets(self._at, self.health, settings.rate)
        stack.callback(buckets.close)
        return buckets

    def close(self) -> None:
        self.health.close()


def started(settings: Settings, store: Store, stack: ExitStack) -> RedisParts | None:
    """With its pulse running. Redis may be away: nothing waits for it."""
    redis = parts_of(settings, store)
    if redis is not None:
        stack.callback(redis.close)
        redis.health.start()
    return redis


def parts_of(settings: Settings, store: Store) -> RedisParts | None:
    """None without FOREBAY_REDIS. Raises BadSettings, StoreAway."""
    at = settings.redis_address
    return None if at is None else RedisParts(at.of(store.identity()))
