"""Results that are kept: only what ended for good, never longer than the row, and never believed without a look."""

import pickle
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import msgspec
import pytest
from redis_parts_driver import STORE, health_of, place_of, until

from pipelines.redis.results import LONGEST_S, MOST_BYTES, RedisResults, written
from schemas.jobs import JobView, Timings
from schemas.reasons import Reason
from schemas.states import State
from tests.services.redis import Redis

NOW = 1_700_000_000.0


def view_of(id: str, state: State = State.SUCCEEDED, tenant: str = "t", ended: float = NOW, **given: Any) -> JobView:
    result = b'{"y": [1.5, "\xc3\xa9"]}' if state is State.SUCCEEDED else None
    given = {"result": result, "metadata": b'{"a": 1}'} | given
    return JobView(id, tenant, state, "m", "1", 5, 0, 0, Timings(NOW - 2, NOW - 1, ended), **given)


class Ground:
    def __init__(self, url: str, retention: float = 3600.0, store: str = STORE) -> None:
        self.at = place_of(url, store)
        self.health = health_of(url)
        self.results = RedisResults(self.at, self.health, retention, lambda: NOW)

    def kept(self, *ids: str, tenant: str = "t") -> dict[str, JobView]:
        return {id: view for (_, id), view in self.results.get([(tenant, id) for id in ids]).items()}

    def keep(self, *views: JobView) -> None:
        """Until the last of them stands there."""
        self.results.keep(views)
        until(lambda: self.kept(views[-1].id, tenant=views[-1].tenant))

    def close(self) -> None:
        self.results.close()
        self.health.close()


@pytest.fixture
def ground(redis_url: str) -> Iterator[Ground]:
    with closing(Ground(redis_url)) as ground:
        yield ground


@contextmanager
def on(server: Redis) -> Iterator[Ground]:
    with closing(Ground(server.url)) as ground:
        yield ground


def test_what_ended_for_good_is_kept_as_it_was(ground: Ground) -> None:
    views = [view_of("a"), view_of("b:c", State.CANCELED, error=None), view_of("d", State.EXPIRED, deadline_at=NOW)]
    ground.keep(*views)
    assert ground.kept("a", "b:c", "d", "e") == {view.id: view for view in views}


@pytest.mark.parametrize("state", [State.FAILED, State.QUEUED, State.RUNNING])
def test_what_may_go_on_is_never_kept(own_redis: Redis, state: State) -> None:
    reason = Reason.MODEL_ERROR if state is State.FAILED else None
    with on(own_redis) as ground, own_redis.client() as client:
        ground.keep(view_of("a", state, reason=reason), view_of("last"))
        assert client.keys("forebay:*:result:*") == [f"forebay:{STORE}:result:t:last".encode()]


def test_a_failed_job_in_redis_is_not_believed(own_redis: Redis) -> None:
    with on(own_redis) as there, own_redis.client() as client:
        client.set(f"forebay:{STORE}:result:t:a", written(view_of("a", State.FAILED)))
        assert there.kept("a") == {}


def test_tenants_do_not_meet(ground: Ground) -> None:
    ground.keep(view_of("a", tenant="one"))
    assert ground.kept("a", tenant="one")
    assert ground.kept("a", tenant="other") == {}


def test_stores_do_not_meet(ground: Ground, redis_url: str) -> None:
    """One prefix, one tenant, one id: a direct producer chose it in both, or the first store was thrown away."""
    ground.keep(view_of("order-1"))
    with closing(Ground(redis_url, store="4567cdef")) as other:
        assert other.kept("order-1") == {}
        other.keep(view_of("order-1", State.CANCELED))
    assert ground.kept("order-1") == {"order-1": view_of("order-1")}


def test_a_giant_is_not_kept_and_its_neighbours_are(ground: Ground) -> None:
    ground.keep(view_of("a"), view_of("giant", result=b"1" * MOST_BYTES), view_of("b"))
    assert ground.kept("a", "giant", "b").keys() == {"a", "b"}


def test_nothing_outlives_its_row(own_redis: Redis) -> None:
    with on(own_redis) as ground, own_redis.client() as client:
        ground.keep(view_of("gone", ended=NOW - 3600.0), view_of("soon", ended=NOW - 3590.0), view_of("new"))
        assert not client.exists(f"forebay:{STORE}:result:t:gone")
        assert 8.0 < client.pttl(f"forebay:{STORE}:result:t:soon") / 1000 <= 10.0
        assert 590.0 < client.pttl(f"forebay:{STORE}:result:t:new") / 1000 <= LONGEST_S


FORM = written(view_of("a"))[:4]


class Bomb:
    def __reduce__(self) -> Any:
        return (pytest.fail, ("a pickle was executed",))


@pytest.mark.parametrize(
    "value",
    [
        b"", b"\xc1", b"\xff" * 100, b"null", pickle.dumps(Bomb()), msgspec.msgpack.encode(view_of("a")),
        FORM + pickle.dumps(Bomb()), FORM + msgspec.msgpack.encode({"id": "a", "tenant": "t"}), FORM, FORM + b"\xc1",
        written(view_of("a"))[:-3], written(view_of("other")), FORM + b"\x91" * 100_000,
        written(view_of("a", tenant="other")), written(view_of("a", State.QUEUED)),
    ],
)  # fmt: skip
def test_what_is_no_view_of_this_job_is_ignored_and_replaced(own_redis: Redis, value: bytes) -> None:
    with on(own_redis) as ground, own_redis.client() as client:
        client.set(f"forebay:{STORE}:result:t:a", value)
        assert ground.kept("a") == {}
        assert ground.health.usable
        ground.keep(view_of("a"))
        assert ground.kept("a") == {"a": view_of("a")}


def test_another_kind_of_value_is_ignored(own_redis: Redis) -> None:
    with on(own_redis) as ground, own_redis.client() as client:
        client.lpush(f"forebay:{STORE}:result:t:a", b"x")
        assert ground.kept("a") == {}
        ground.keep(view_of("a"))


def test_lists_longer_than_one_question(ground: Ground) -> None:
    views = [view_of(f"j{n}") for n in range(200)]
    ground.keep(*views)
    assert len(ground.kept(*[view.id for view in views])) == 200


def test_a_frozen_redis_costs_a_moment_once_and_then_nothing(own_redis: Redis) -> None:
    with on(own_redis) as ground:
        ground.keep(view_of("a"))
        own_redis.freeze()
        begun = time.monotonic()
        assert ground.kept("a") == {}
        assert time.monotonic() - begun < 0.2
        begun = time.monotonic()
        for _ in range(1000):
            ground.kept("a")
            ground.results.keep([view_of("b")])
        assert time.monotonic() - begun < 0.2
        own_redis.thaw()
        ground.health.usable = True  # as the pulse finds a second later
        until(lambda: ground.kept("a"))


def test_killed_flushed_and_refused(own_redis: Redis) -> None:
    with on(own_redis) as ground:
        ground.keep(view_of("a"))
        own_redis.flush()
        assert ground.kept("a") == {}
        assert ground.health.usable
        own_redis.kill()
        assert ground.kept("a") == {}
        assert not ground.health.usable
        own_redis.restart()
        ground.health.usable = True
        ground.keep(view_of("a"))


def test_evicting_is_only_forgetting(own_redis: Redis) -> None:
    with own_redis.client() as client, on(own_redis) as ground:
        client.config_set("maxmemory-policy", "allkeys-lru")
        client.config_set("maxmemory", f"{client.info('memory')['used_memory'] + 600_000}")
        for n in range(60):
            ground.keep(view_of(f"j{n}", result=b"1" * 50_000))
        kept = ground.kept(*[f"j{n}" for n in range(60)])
        assert 1 <= len(kept) < 60
        assert ground.health.fault is None


def test_a_full_redis_that_evicts_nothing_is_told(own_redis: Redis) -> None:
    with own_redis.client() as client, on(own_redis) as ground:
        client.config_set("maxmemory", "1")
        ground.results.keep([view_of("a")])
        until(lambda: not ground.health.usable)
        assert "memory" in str(ground.health.fault).lower()
