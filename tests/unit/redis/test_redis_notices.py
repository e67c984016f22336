"""Notices while Redis is away, comes back, hears nobody, is shared; and who tells never waits."""

import queue
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from redis_parts_driver import PATIENCE_S, STORE, Remembering, health_of, place_of, until

from pipelines.redis.notices import RedisNotices
from pipelines.store.notices_local import LocalNotices
from tests.services.redis import Redis, RunningRedis


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def notices_of(url: str, otherwise: Remembering, stack: ExitStack, store: str = STORE) -> RedisNotices:
    health = health_of(url)
    stack.callback(health.close)
    notices = RedisNotices(place_of(url, store), health, otherwise)
    stack.callback(notices.close)
    return notices


def hearing(notices: RedisNotices, stack: ExitStack) -> "queue.Queue[list[str]]":
    heard: queue.Queue[list[str]] = queue.Queue()
    stack.callback(notices.listen(on_ended=heard.put))
    return heard


def tell_until_heard(notices: RedisNotices, heard: "queue.Queue[list[str]]", id: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        notices.ended([id])
        try:
            if id in heard.get(timeout=0.05):
                return
        except queue.Empty:
            continue
    raise AssertionError(f"{id} was never heard")


def test_the_stores_way_is_taken_when_nobody_hears_it_through_redis(redis_url: str, stack: ExitStack) -> None:
    otherwise = Remembering()
    notices = notices_of(redis_url, otherwise, stack)
    notices.ended(["job-1"])
    notices.work()
    until(lambda: otherwise.ids == ["job-1"] and otherwise.works == 1)


def test_the_stores_way_is_left_alone_while_redis_carries(redis_url: str, stack: ExitStack) -> None:
    otherwise = Remembering()
    notices = notices_of(redis_url, otherwise, stack)
    heard = hearing(notices, stack)
    tell_until_heard(notices, heard, "begin")
    otherwise.ids.clear()
    notices.ended(["job-1"])
    while heard.get(timeout=PATIENCE_S) != ["job-1"]:
        pass
    assert otherwise.ids == []


@pytest.mark.parametrize("one_prefix", [True, False])
def test_two_installations_on_one_server_do_not_meet(redis: RunningRedis, stack: ExitStack, one_prefix: bool) -> None:
    urls = (redis.fresh_url(),) * 2 if one_prefix else (redis.fresh_url(), redis.fresh_url())
    stores = (STORE, "4567cdef" if one_prefix else STORE)
    ours, theirs = (notices_of(url, Remembering(), stack, store) for url, store in zip(urls, stores, strict=True))
    heard, foreign = hearing(ours, stack), hearing(theirs, stack)
    tell_until_heard(ours, heard, "begin")
    tell_until_heard(theirs, foreign, "theirs")
    ours.ended(["last"])
    got: list[str] = []
    while "last" not in got:
        got += heard.get(timeout=PATIENCE_S)
    assert "theirs" not in got


def test_killed_and_started_again_they_flow_again_through_redis(own_redis: Redis, stack: ExitStack) -> None:
    otherwise = Remembering()
    health = health_of(own_redis.url)
    notices = RedisNotices(place_of(own_redis.url), health, otherwise)
    stack.callback(notices.close)
    heard = hearing(notices, stack)
    tell_until_heard(notices, heard, "before")
    own_redis.kill()
    notices.ended(["while away"])
    until(lambda: "while away" in otherwise.ids)
    assert not health.usable
    own_redis.restart()
    health.usable = True  # as the pulse finds a second later
    tell_until_heard(notices, heard, "after")
    health.close()


def test_a_redis_that_never_answers_holds_up_nobody(own_redis: Redis, stack: ExitStack) -> None:
    otherwise = Remembering()
    notices = notices_of(own_redis.url, otherwise, stack)
    own_redis.freeze()
    done = threading.Event()

    def commit() -> None:
        for n in range(100):
            notices.work()
            notices.ended([f"job-{n}"])
        done.set()

    threading.Thread(target=commit, daemon=True).start()
    assert done.wait(1.0)
    until(lambda: len(otherwise.ids) == 100 and otherwise.works)
    own_redis.thaw()


def test_the_stores_way_is_heard_all_the_time(tmp_path: Path, own_redis: Redis, stack: ExitStack) -> None:
    """A sender whose Redis is away reaches a listener whose Redis is not."""
    heard = hearing(notices_of(own_redis.url, LocalNotices(tmp_path), stack), stack)  # type: ignore[arg-type]  # both close
    other = LocalNotices(tmp_path)
    stack.callback(other.close)
    other.ended(["job-1"])
    assert heard.get(timeout=PATIENCE_S) == ["job-1"]


def test_closing_sends_what_waits_and_closes_the_stores_way(redis_url: str, stack: ExitStack) -> None:
    otherwise = Remembering()
    notices = notices_of(redis_url, otherwise, stack)
    heard = hearing(notices, stack)
    tell_until_heard(notices, heard, "begin")
    notices.ended(["last"])
    notices.close()
    while heard.get(timeout=PATIENCE_S) != ["last"]:
        pass
    assert otherwise.closed
