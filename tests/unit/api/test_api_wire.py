"""The connection below ASGI, on a real socket: limits on heads, trailers, pipelines, silence and connections."""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from api import wire
from api.http import Headers, headers_of, read_body, respond
from api.wire import HEAD_BYTES, HEADERS, PIPELINE, URL_BYTES, Wire

PATIENCE_S = 10.0


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers how many bytes the body had; /slow takes a moment."""
    if scope["type"] == "lifespan":
        return
    headers: Headers = headers_of(scope)
    body = await read_body(headers, receive, 1 << 20)
    if scope["path"] == "/slow":
        gate.wait(PATIENCE_S)
    await respond(send, 200, b"%d" % len(body))


gate = threading.Event()


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, loop="uvloop", http=Wire, ws="none", lifespan="off", log_config=None, access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    gate.set()
    yield listening.getsockname()[1]
    server.should_exit = True
    thread.join(PATIENCE_S)
    listening.close()
    assert not thread.is_alive()


def said(port: int, *parts: bytes, pause: float = 0.0) -> tuple[int, dict[str, Any], bytes]:
    """Status, JSON and everything that came until the server closed."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as connection:
        try:
            for part in parts:
                connection.sendall(part)
                time.sleep(pause)
        except OSError:
            pass  # it closed while we still sent
        return answered(connection)


def answered(connection: socket.socket) -> tuple[int, dict[str, Any], bytes]:
    got = b""
    try:
        while part := connection.recv(65_536):
            got += part
    except ConnectionResetError:
        pass
    head, _, body = got.partition(b"\r\n\r\n")
    return int(head.split()[1]) if head else 0, json.loads(body) if b"problem+json" in head else {}, got


def test_an_ordinary_request_and_its_keep_alive(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as connection:
        for _ in range(3):
            connection.sendall(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello")
            got = connection.recv(65_536)
            assert got.startswith(b"HTTP/1.1 200 OK")
            assert got.endswith(b"5")


@pytest.mark.parametrize(
    "head",
    [
        b"X-Long: " + b"x" * (HEAD_BYTES + 1),
        b"\r\n".join(b"X-%d: 1" % n for n in range(HEADERS + 1)),
        b"\r\n".join(b"X-%d: %s" % (n, b"y" * 1000) for n in range(90)),
    ],
)
def test_a_long_head(port: int, head: bytes) -> None:
    status, problem, _ = said(port, b"GET / HTTP/1.1\r\nHost: h\r\n" + head + b"\r\n\r\n")
    assert status == 431
    assert problem["type"] == "/problems/invalid-request"
    assert "expected at most 100 headers" in problem["detail"]


def test_a_head_that_never_ends_is_not_kept(port: int) -> None:
    begun = time.monotonic()
    status, _, _ = said(port, b"GET / HTTP/1.1\r\nX-Endless: ", *[b"x" * 65_536] * 64)
    assert status in (431, 0), "closed; the answer may be lost while we still send"
    assert time.monotonic() - begun < 5


def test_a_long_url(port: int) -> None:
    status, problem, _ = said(port, b"GET /" + b"u" * (URL_BYTES + 1) + b" HTTP/1.1\r\nHost: h\r\n\r\n")
    assert status == 414
    assert "URL" in problem["detail"]


def test_trailers(port: int) -> None:
    chunked = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n"
    status, problem, _ = said(port, chunked + b"Checksum: 1\r\n\r\n")
    assert (status, problem["detail"]) == (400, "trailers are not supported")
    begun = time.monotonic()
    said(port, chunked, b"Endless: ", *[b"t" * 65_536] * 64)
    assert time.monotonic() - begun < 5


def test_what_is_no_http(port: int) -> None:
    status, problem, _ = said(port, b"\x16\x03\x01\x02\x00\x01\x00")
    assert (status, problem["title"]) == (400, "The request is malformed")


def test_a_few_requests_ahead_are_answered_in_order_and_thousands_are_not_kept(port: int) -> None:
    one = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s"
    requests = [one % (n, b"b" * n) for n in range(PIPELINE)]
    last = b"POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    _, _, got = said(port, b"".join(requests) + last)
    answers = [part.rpartition(b"\r\n\r\n")[2] for part in got.split(b"HTTP/1.1 200 OK")[1:]]
    assert answers == [b"%d" % n for n in range(PIPELINE)] + [b"0"]
    gate.clear()
    flood = b"GET /slow HTTP/1.1\r\nHost: h\r\n\r\n" * 5000
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as connection:
        threading.Timer(0.5, gate.set).start()
        with contextlib.suppress(OSError):
            connection.sendall(flood)
        _, _, got = answered(connection)
    assert got.count(b"HTTP/1.1 200") <= PIPELINE + 1


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (b"", 408),
        (b"GET / HT", 408),
        (b"GET / HTTP/1.1\r\nHost: h\r\nX: ", 408),
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nhal", 408),
    ],
)
def test_silence_ends(port: int, monkeypatch: pytest.MonkeyPatch, first: bytes, then: int) -> None:
    for name in ("HEAD_S", "BODY_S", "_LOOK_S"):
        monkeypatch.setattr(wire, name, 0.2)
    begun = time.monotonic()
    status, _, _ = said(port, first)
    assert status == then
    assert time.monotonic() - begun < 5


def test_a_body_that_comes_slowly_is_borne(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BODY_S", "_LOOK_S"):
        monkeypatch.setattr(wire, name, 0.4)
    drops = [b"x"] * 8
    head = b"POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 8\r\n\r\n"
    status, _, got = said(port, head, *drops, pause=0.15)
    assert status == 200
    assert got.endswith(b"8")


def test_more_connections_than_there_is_room_for(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Wire, "most_connections", 2)
    first, second = (socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) for _ in range(2))
    time.sleep(0.1)
    status, problem, got = said(port, b"")
    assert (status, problem["type"]) == (503, "/problems/overloaded")
    assert b"retry-after: 1" in got
    first.close()
    until_room = time.monotonic() + PATIENCE_S
    request = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
    while said(port, request)[0] != 200:
        assert time.monotonic() < until_room
    second.close()
