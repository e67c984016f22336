"""Connections of their own: the last used first, the old and the surplus go, nothing stays open after `close`."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from forebay_client import AsyncClient, Client
from forebay_client.lanes import IDLE, KEPT, Lanes


class Time:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_the_one_used_last_goes_first() -> None:
    lanes: Lanes[str] = Lanes(Time())
    assert lanes.take() is None
    assert lanes.put("a") == []
    assert lanes.put("b") == []
    assert (lanes.take(), lanes.take(), lanes.take()) == ("b", "a", None)


def test_an_old_one_is_closed_when_another_is_put_back() -> None:
    time = Time()
    lanes: Lanes[str] = Lanes(time)
    lanes.put("old")
    time.now += IDLE + 1
    assert lanes.put("new") == ["old"]


def test_no_more_are_kept_than_useful() -> None:
    lanes: Lanes[int] = Lanes(Time())
    assert [gone for n in range(KEPT + 2) for gone in lanes.put(n)] == [0, 1]


def test_closing_gives_up_the_unused_and_then_the_used() -> None:
    lanes: Lanes[str] = Lanes(Time())
    lanes.put("a")
    assert lanes.close() == ["a"]
    assert lanes.put("b") == ["b"]
    with pytest.raises(RuntimeError, match="closed"):
        lanes.take()


class _NoJobs(BaseHTTPRequestHandler):
    """A server that counts its connections."""

    protocol_version = "HTTP/1.1"
    opened: list[object]

    def setup(self) -> None:
        super().setup()
        self.opened.append(self.client_address)

    def do_GET(self) -> None:
        body = b'{"jobs": [], "next": null}'
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None: ...


@contextmanager
def counting() -> Iterator[tuple[str, list[object]]]:
    opened: list[object] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Counting", (_NoJobs,), {"opened": opened}))
    server.daemon_threads = True
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", opened
    finally:
        server.shutdown()
        server.server_close()


def test_requests_one_after_the_other_share_a_connection() -> None:
    with counting() as (url, opened), Client(url) as client:
        for _ in range(3):
            client._http.get("/jobs")
        assert len(opened) == 1


def test_tasks_one_after_the_other_share_a_connection() -> None:
    async def main(url: str) -> None:
        async with AsyncClient(url) as client:
            for _ in range(3):
                await client._http.get("/jobs")

    with counting() as (url, opened):
        asyncio.run(main(url))
        assert len(opened) == 1


def test_what_the_environment_sends_through_a_proxy_goes_there(monkeypatch: pytest.MonkeyPatch) -> None:
    with counting() as (proxy, opened):
        monkeypatch.setenv("HTTP_PROXY", proxy)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        with Client("http://forebay.invalid", retries=0) as client:
            assert client._http.get("/jobs").status_code == 200
        assert len(opened) == 1
