"""Shared buckets: the same as one of a process's own, by Redis's clock, for all who ask; and no answer rather than a wait."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from redis_parts_driver import STORE, Times, health_of, place_of

from pipelines.rate import Buckets, Rate
from pipelines.redis.buckets import RedisBuckets
from tests.services.redis import Redis

SLOW = Rate(interval=3600.0, burst=5)
"""Nothing comes back while a test runs."""


class Shared:
    """Buckets of several processes on one Redis."""

    def __init__(self) -> None:
        self._close: list[Callable[[], None]] = []

    def __call__(self, url: str, rate: Rate = SLOW, store: str = STORE) -> RedisBuckets:
        health = health_of(url)
        buckets = RedisBuckets(place_of(url, store), health, rate)
        self._close += [buckets.close, health.close]
        return buckets

    def close(self) -> None:
        for close in self._close:
            close()


@pytest.fixture
def shared() -> Iterator[Shared]:
    with closing(Shared()) as shared:
        yield shared


def test_two_processes_share_one_bucket_per_tenant(shared: Shared, redis_url: str) -> None:
    one, other = shared(redis_url), shared(redis_url)
    taken = [buckets.take([("t", 1)])[0] for buckets in (one, other) * 4]
    assert taken[:5] == [0.0] * 5
    assert all(wait is not None and 3500 < wait <= 3600 for wait in taken[5:])
    assert other.take([("u", 5)]) == [0.0]
    assert shared(redis_url, store="4567cdef").take([("t", 5)]) == [0.0], "another installation's tenant"


def test_what_is_asked_together_is_counted_one_by_one(shared: Shared, redis_url: str) -> None:
    buckets = shared(redis_url)
    said = buckets.take([("t", 2), ("u", 5), ("t", 2), ("u", 1), ("t", 2), ("t", 1)])
    assert [wait == 0 for wait in said] == [True, True, True, False, False, True]


def test_it_counts_as_one_of_a_process_does(shared: Shared, own_redis: Redis) -> None:
    rate, times = Rate(interval=100.0, burst=7), Times()
    own, buckets = Buckets(rate, times), shared(own_redis.url, rate)
    for jobs in (3, 4, 1, 7, 20, 1):
        alone, together = own.take("t", jobs), buckets.take([("t", jobs)])[0]
        assert together is not None
        assert together == pytest.approx(alone, abs=2.0)


def test_more_than_a_burst_needs_a_full_bucket_and_is_paid_off() -> None:
    times = Times()
    buckets = Buckets(Rate(interval=1.0, burst=5), times)
    assert buckets.take("t", 20) == 0
    assert buckets.take("t", 1) == pytest.approx(16.0)
    times.now += 16.0
    assert buckets.take("t", 1) == 0
    assert buckets.take("t", 20) == pytest.approx(5.0)


@pytest.mark.parametrize(
    ("written", "interval", "burst"),
    [("100/s", 0.01, 100), ("6000/m", 0.01, 100), ("100/s:300", 0.01, 300), ("10/m", 6.0, 1), ("3600/h:2", 1.0, 2)],
)
def test_rates_as_they_are_written(written: str, interval: float, burst: int) -> None:
    rate = Rate.parse(written)
    assert (rate.interval, rate.burst) == (pytest.approx(interval), burst)


@pytest.mark.parametrize("written", ["", "0/s", "10", "10/d", "-1/s", "1.5/s", "10/s:0", "10/s:", "10 /s x", "٣/s"])
def test_rates_that_are_none(written: str) -> None:
    with pytest.raises(ValueError, match="expected jobs per second"):
        Rate.parse(written)


def test_a_flushed_redis_forgets_and_learns_the_script_again(shared: Shared, own_redis: Redis) -> None:
    buckets = shared(own_redis.url)
    assert buckets.take([("t", 5), ("u", 5)]) == [0.0, 0.0]
    assert buckets.take([("t", 1)]) != [0.0]
    own_redis.flush()
    assert buckets.take([("t", 1), ("u", 1)]) == [0.0, 0.0]


@pytest.mark.parametrize("value", [b"none", b"9e99", b"-5", b""])
def test_what_is_no_bucket_counts_as_full(shared: Shared, own_redis: Redis, value: bytes) -> None:
    buckets = shared(own_redis.url)
    with own_redis.client() as client:
        client.set(f"forebay:{STORE}:rate:t", value)
    assert buckets.take([("t", 5)]) == [0.0]
    assert buckets.take([("t", 1)]) != [0.0]


def test_a_bucket_leaves_when_it_is_full_again(shared: Shared, own_redis: Redis) -> None:
    buckets = shared(own_redis.url, Rate(interval=2.0, burst=5))
    buckets.take([("t", 3)])
    with own_redis.client() as client:
        assert 5.0 < client.pttl(f"forebay:{STORE}:rate:t") / 1000 <= 7.0


def test_a_key_of_another_kind_is_no_answer(shared: Shared, own_redis: Redis) -> None:
    buckets = shared(own_redis.url)
    with own_redis.client() as client:
        client.lpush(f"forebay:{STORE}:rate:t", b"x")
    assert buckets.take([("t", 1)]) == [None]


def test_no_answer_in_time_and_then_no_question(shared: Shared, own_redis: Redis) -> None:
    buckets = shared(own_redis.url)
    buckets.take([("t", 1)])
    own_redis.freeze()
    begun = time.monotonic()
    for _ in range(1000):
        assert buckets.take([("t", 1)]) == [None]
    assert time.monotonic() - begun < 0.5
    own_redis.thaw()
