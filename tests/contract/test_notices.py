"""What every kind of notices keeps: each hears what it listens to, nobody waits for a hint, what is gone is no error."""

import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from msgspec import Struct
from sqlalchemy import make_url

from pipelines.redis.address import RedisAddress
from pipelines.redis.health import Health
from pipelines.redis.notices import ClosableNotices, RedisNotices
from pipelines.store.notices_local import LocalNotices
from pipelines.store.notices_postgres import PostgresNotices

PATIENCE_S = 20.0


class Heard(Struct):
    work: queue.Queue[None]
    ended: queue.Queue[list[str]]


class Open:
    """Makes notices as processes of one installation have them; closes them at the end."""

    def __init__(
        self, make: Callable[[], ClosableNotices], stack: ExitStack, subscriptions: Callable[[], int] = lambda: 1 << 20
    ) -> None:
        """`subscriptions`: how many Redis has. While one is being made its listener hears by the other way, and who sends
        may meanwhile find others on Redis already."""
        self._make = make
        self._stack = stack
        self._subscriptions = subscriptions

    def __call__(self) -> ClosableNotices:
        notices = self._make()
        self._stack.callback(notices.close)
        return notices

    def listening(self, sender: ClosableNotices, work: bool = True, ended: bool = True) -> Heard:
        """Once it hears: listening begins in a thread of its own."""
        heard = Heard(queue.Queue(), queue.Queue())
        wanted = min(self._subscriptions() + work + ended, 1 << 20)
        stop = self().listen((lambda: heard.work.put(None)) if work else None, heard.ended.put if ended else None)
        self._stack.callback(stop)
        for _ in range(int(PATIENCE_S / 0.05)):
            sender.work()
            sender.ended(["begin"])
            try:
                heard.work.get(timeout=0.05) if work else heard.ended.get(timeout=0.05)
                break
            except queue.Empty:
                continue
        until = time.monotonic() + PATIENCE_S
        while self._subscriptions() < wanted and time.monotonic() < until:
            time.sleep(0.01)
        return heard


@pytest.fixture(params=["local", "postgresql", "redis"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    def local() -> ClosableNotices:
        return LocalNotices(tmp_path / "wake")

    if request.param == "local":
        make = local
    elif request.param == "postgresql":
        url = make_url(request.getfixturevalue("postgres_url"))
        make = lambda: PostgresNotices(url)  # noqa: E731  # one of three
    else:
        at = RedisAddress.parse(request.getfixturevalue("redis_url")).of("0123abcd")
        make = lambda: RedisNotices(at, Health(at, print, lambda: 0.0), local())  # noqa: E731  # likewise
        with ExitStack() as stack, request.getfixturevalue("redis").client() as client:
            channels = at.key("work"), at.key("ended")
            yield Open(make, stack, lambda: sum(count for _, count in client.pubsub_numsub(*channels)))
        return
    with ExitStack() as stack:
        yield Open(make, stack)


def ids_of(heard: Heard, last: str) -> list[str]:
    """All that were heard to have ended, up to `last`, but for those of the beginning."""
    found: list[str] = []
    while last not in found:
        found += heard.ended.get(timeout=PATIENCE_S)
    return [id for id in found if id != "begin"]


def test_each_hears_what_it_listens_to(opened: Open) -> None:
    sender = opened()
    both, only_work, only_ended = (
        opened.listening(sender),
        opened.listening(sender, ended=False),
        opened.listening(sender, work=False),
    )
    sender.ended(["job-1", "job-2"])
    assert ids_of(both, "job-2") == ids_of(only_ended, "job-2") == ["job-1", "job-2"]
    assert only_work.ended.empty()
    assert only_ended.work.empty()
    sender.work()
    assert both.work.get(timeout=PATIENCE_S) is only_work.work.get(timeout=PATIENCE_S) is None


def test_many_ids_arrive_in_order(opened: Open) -> None:
    sender = opened()
    heard = opened.listening(sender)
    ids = [f"{n:0128}" for n in range(3000)]
    sender.ended(ids)
    assert ids_of(heard, ids[-1]) == ids


def test_ids_that_direct_producers_chose(opened: Open) -> None:
    sender = opened()
    heard = opened.listening(sender)
    ids = ["a:b", "%00", "'; DROP", "x" * 128]
    sender.ended(ids)
    assert ids_of(heard, ids[-1]) == ids


def test_who_stopped_listening_hears_nothing_more(opened: Open) -> None:
    sender = opened()
    gone: queue.Queue[list[str]] = queue.Queue()
    opened().listen(on_ended=gone.put)()
    heard = opened.listening(sender)
    while not gone.empty():
        gone.get()
    sender.ended(["job-1"])
    assert ids_of(heard, "job-1") == ["job-1"]
    assert gone.empty()


def test_nobody_listens(opened: Open) -> None:
    sender = opened()
    sender.work()
    sender.ended([])
    sender.ended(["job-1"])


def test_many_threads_tell_at_once(opened: Open) -> None:
    """Some may be lost, for a notice is a hint; none holds up who tells, and none is heard that was not told."""
    sender = opened()
    heard = opened.listening(sender)
    threads = [threading.Thread(target=sender.ended, args=([f"{who}-a", f"{who}-b"],)) for who in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
    sender.ended(["last"])
    told = {f"{who}-{which}" for who in range(8) for which in "ab"}
    assert set(ids_of(heard, "last")) <= told | {"last"}
