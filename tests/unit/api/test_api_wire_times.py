"""Connections that keep the server waiting are closed. The limits here are short; each test waits on the server."""

import socket
import time

import pytest
from api_driver import until
from wire_driver import CHUNKED, GET, POST, Served, serving

from api.pace import Pace

SHORT = 0.15


def timed_out(server: Served, *written: bytes) -> None:
    with server.connect() as wire:
        wire.send(*written)
        status, body = wire.answer()
        assert (status, body["type"]) == (408, "/problems/timeout")
        assert wire.headers["connection"] == "close"
        assert wire.closed
    until(lambda: server.open == 0)


def test_a_connection_that_says_nothing_is_closed() -> None:
    with serving(head_s=SHORT) as server, server.connect() as wire:
        assert wire.closed
        until(lambda: server.open == 0)


@pytest.mark.parametrize("before", [b"", GET])
def test_a_head_that_does_not_end_is_refused_however_it_trickles(before: bytes) -> None:
    with serving(head_s=SHORT) as server, server.connect() as wire:
        wire.send(before)
        assert not before or wire.answer()[0] == 200
        wire.send(GET[:-2])
        wire.wire.settimeout(0.02)
        began = time.monotonic()
        while True:
            try:
                status, _ = wire.answer()
                break
            except TimeoutError:
                wire.send(b"a")
            assert time.monotonic() - began < 5
        assert status == 408


def test_the_time_of_a_head_begins_with_its_first_byte() -> None:
    with serving(head_s=0.5) as server, server.connect() as wire:
        wire.send(GET)
        assert wire.answer()[0] == 200
        time.sleep(0.75)
        wire.send(GET[:20])
        time.sleep(0.35)
        wire.send(GET[20:])
        assert wire.answer()[0] == 200


def test_a_body_that_does_not_come_is_refused() -> None:
    with serving(head_s=0.05, body_s=SHORT) as server:
        timed_out(server, POST + b"Content-Length: 10\r\n\r\n")
        timed_out(server, POST + b"Content-Length: 10\r\n\r\n12345")
        timed_out(server, CHUNKED + b"1\r\nx\r\n0\r\nX: ")
        assert server.app.running == 0


def test_a_body_that_comes_slowly_is_served() -> None:
    with serving(head_s=0.05, body_s=0.5) as server, server.connect() as wire:
        wire.send(POST + b"Content-Length: 12\r\n\r\n")
        for _ in range(12):
            time.sleep(0.06)  # altogether longer than the limit
            wire.send(b"x")
        assert wire.answer()[1]["size"] == 12


def test_a_request_may_take_as_long_as_it_takes() -> None:
    with serving(head_s=0.02, body_s=0.02) as server, server.connect() as wire:
        wire.send(GET.replace(b"/x", b"/slow"))
        time.sleep(0.3)
        server.app.go.set()
        assert wire.answer()[0] == 200
        time.sleep(0.1)  # kept alive, as before
        wire.send(GET)
        assert wire.answer()[0] == 200


def test_a_body_that_nobody_waits_for_is_not_waited_for_either() -> None:
    early = POST.replace(b"/x", b"/early") + b"Content-Length: 10\r\n\r\n"
    with serving(head_s=SHORT) as server, server.connect() as wire:
        wire.send(early)
        assert wire.answer()[0] == 200
        assert wire.closed


def test_a_client_that_takes_nothing_of_its_answer_is_cut_off() -> None:
    with serving(head_s=0.05, body_s=SHORT) as server, server.connect() as wire:
        wire.wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        wire.send(GET.replace(b"/x", b"/large"))
        until(lambda: server.app.seen == 1 and server.open == 0)


def test_what_a_client_has_not_taken_stays_with_who_sends_it() -> None:
    with serving() as server, server.connect() as wire:
        wire.wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        wire.send(GET.replace(b"/x", b"/pieces"))
        until(lambda: server.unsent)
        for _ in range(10):
            wire.wire.recv(4096)
            assert server.unsent <= 129 << 10
        assert server.app.running == 1, "the application holds the rest, and its turn"


def test_a_client_that_trickles_a_large_answer_is_cut_off() -> None:
    with serving() as server, server.connect() as wire:
        server.app.pace = Pace(rate=64 << 20, grace=SHORT)
        wire.wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        wire.send(GET.replace(b"/x", b"/pieces"))
        until(lambda: server.app.running)
        until(lambda: wire.wire.recv(1) and server.open == 0 and server.app.running == 0)


def test_a_client_that_takes_a_large_answer_slowly_is_not_cut_off() -> None:
    """For far longer than one may take nothing; what is unsent may well be as much each time that it is looked at."""
    with serving(head_s=0.02, body_s=4 * SHORT) as server, server.connect() as wire:
        wire.wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 10)
        wire.send(GET.replace(b"/x", b"/pieces"))
        end = time.monotonic() + 16 * SHORT
        while time.monotonic() < end:
            assert wire.wire.recv(128 << 10), "cut off"
            time.sleep(0.01)
        assert server.open == 1


def test_a_refused_sender_that_goes_on_is_cut_off() -> None:
    with serving() as server, server.connect() as wire:
        wire.send(b"what\r\n\r\n")
        until(lambda: server.open == 0)
