"""Bodies without an end, against the real server: 413 without reading on, and no more memory than the limit allows."""

import socket
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from tests.e2e.processes import Forebay
from tests.e2e.stage import Stage, stage

LIMIT = 1 << 20
CHUNK = b"x" * 65_536
HEAD = (
    b"POST /predict_async HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
)


@pytest.fixture(scope="module")
def api() -> Iterator[Forebay]:
    with stage(None, MAX_BODY=str(LIMIT)) as on:
        yield _api(on)


def _api(on: Stage) -> Forebay:
    return on.place.start("api").ready()


def test_an_endless_chunked_body_is_refused_while_it_streams(api: Forebay) -> None:
    before = _resident(api.pid)
    with closing(_connected(api)) as wire:
        wire.sendall(HEAD)
        sent, answer = _send_until_answered(wire, most=64 * LIMIT)
    assert b" 413 " in answer.split(b"\r\n", 1)[0]
    assert b"application/problem+json" in answer
    assert sent < 16 * LIMIT, "the server read on"
    assert _resident(api.pid) - before < 8 * LIMIT
    _still_serves(api)


def test_a_declared_length_over_the_limit_is_refused_unread(api: Forebay) -> None:
    with closing(_connected(api)) as wire:
        wire.sendall(
            b"POST /predict_async HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99999999999\r\n\r\n"
        )
        answer = wire.recv(65_536)
    assert b" 413 " in answer.split(b"\r\n", 1)[0]
    _still_serves(api)


def test_many_slow_bodies_hold_neither_others_nor_memory(api: Forebay) -> None:
    before = _resident(api.pid)
    wires = [_connected(api) for _ in range(64)]
    try:
        for wire in wires:
            wire.sendall(HEAD + b"1000\r\n" + b"x" * 0x1000 + b"\r\n")
        for _ in range(3):
            for wire in wires:
                wire.sendall(b"1\r\nx\r\n")
        began = time.monotonic()
        _still_serves(api)
        assert time.monotonic() - began < 1
        assert _resident(api.pid) - before < 8 * LIMIT
    finally:
        for wire in wires:
            wire.close()
    _still_serves(api)


def _connected(api: Forebay) -> socket.socket:
    host, _, port = api.url.removeprefix("http://").rpartition(":")
    return socket.create_connection((host, int(port)), timeout=10)


def _send_until_answered(wire: socket.socket, most: int) -> tuple[int, bytes]:
    """Bytes sent, and what came back."""
    sent = 0
    chunk = b"%x\r\n" % len(CHUNK) + CHUNK + b"\r\n"
    wire.settimeout(0.01)
    while sent < most:
        try:
            if answer := wire.recv(65_536):
                return sent, answer
        except TimeoutError:
            pass
        wire.settimeout(5)
        try:
            wire.sendall(chunk)
        except (BrokenPipeError, ConnectionResetError, TimeoutError):
            return sent, wire.recv(65_536)
        sent += len(CHUNK)
        wire.settimeout(0.001)
    raise AssertionError(f"{sent} bytes were read without an answer")


def _still_serves(api: Forebay) -> None:
    assert httpx.get(f"{api.url}/readyz", timeout=5).status_code == 200


def _resident(pid: int) -> int:
    """Bytes of memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096
