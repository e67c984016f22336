"""Notices wake who listens, cost nothing when nobody does, and never raise."""

import queue
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url

from pipelines.store.notices_local import LocalNotices
from pipelines.store.notices_postgres import PostgresNotices

PATIENCE_S = 20.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Its path is longer than the 107 bytes that a socket's name may have."""
    return tmp_path / ("deep" * 20) / ("down" * 20)


@pytest.fixture
def local(folder: Path) -> Iterator[LocalNotices]:
    notices = LocalNotices(folder)
    yield notices
    notices.close()


def test_each_hears_what_it_listens_to(local: LocalNotices, folder: Path) -> None:
    worked, ended = threading.Event(), queue.Queue[list[str]]()
    stops = [local.listen(on_work=worked.set), local.listen(on_ended=ended.put), local.listen(worked.set, ended.put)]
    local.work()
    assert worked.wait(PATIENCE_S)
    local.ended(["job-1", "job-2"])
    assert [ended.get(timeout=PATIENCE_S) for _ in range(2)] == [["job-1", "job-2"]] * 2
    for stop in stops:
        stop()
    assert list(folder.iterdir()) == []


def test_many_ids_arrive_in_parts(local: LocalNotices) -> None:
    ids = [f"{n:0128}" for n in range(1000)]
    ended = queue.Queue[list[str]]()
    stop = local.listen(on_ended=ended.put)
    local.ended(ids)
    heard: list[str] = []
    while len(heard) < len(ids):
        heard += ended.get(timeout=PATIENCE_S)
    stop()
    assert heard == ids


def test_nobody_listens(local: LocalNotices) -> None:
    local.work()
    local.ended([])
    local.ended(["job-1"])


def test_what_a_dead_process_left_is_cleared(local: LocalNotices, folder: Path) -> None:
    dead = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    dead.bind(f"/proc/self/fd/{local._folder}/w-1-dead.sock")
    dead.close()
    local.work()
    assert list(folder.iterdir()) == []


def test_who_does_not_read_does_not_hold_up_the_others(local: LocalNotices) -> None:
    deaf = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    deaf.bind(f"/proc/self/fd/{local._folder}/w-1-deaf.sock")
    heard = queue.Queue[int]()
    stop = local.listen(on_work=lambda: heard.put(1))
    for _ in range(2000):
        local.work()
        heard.get(timeout=PATIENCE_S)
    stop()
    deaf.close()


def test_a_folder_that_is_gone_is_no_error(local: LocalNotices, folder: Path) -> None:
    folder.rmdir()
    local.work()
    local.ended(["job-1"])


def listening(notices: PostgresNotices, heard: "queue.Queue[list[str]]") -> Callable[[], None]:
    """Returns once a first notice came through: LISTEN happens in a thread of its own."""
    stop = notices.listen(on_work=lambda: heard.put([]), on_ended=heard.put)
    for _ in range(int(PATIENCE_S / 0.1)):
        notices.work()
        try:
            heard.get(timeout=0.1)
        except queue.Empty:
            continue
        break
    while not heard.empty():
        heard.get()
    return stop


def test_postgres_carries_them(postgres_url: str) -> None:
    notices = PostgresNotices(make_url(postgres_url))
    heard = queue.Queue[list[str]]()
    stop = listening(notices, heard)
    ids = [f"job-{n:0100}" for n in range(200)]
    notices.ended(ids)
    arrived: list[str] = []
    while len(arrived) < len(ids):
        arrived += heard.get(timeout=PATIENCE_S)
    stop()
    notices.close()
    assert arrived == ids


def test_a_server_that_is_away_is_no_error() -> None:
    notices = PostgresNotices(make_url("postgresql://u:p@127.0.0.1:1/d"))
    notices.work()
    notices.ended(["job-1"])
    notices.close()


def test_a_server_that_never_answers_holds_up_nobody() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        notices = PostgresNotices(make_url(f"postgresql://u:p@127.0.0.1:{silent.getsockname()[1]}/d"))
        done = threading.Event()

        def commit() -> None:
            for n in range(100):
                notices.work()
                notices.ended([f"job-{n}"])
            done.set()

        threading.Thread(target=commit, daemon=True).start()
        assert done.wait(1.0)
        accepted, _ = silent.accept()  # it was asked, all the same
        accepted.close()
        notices.close()
