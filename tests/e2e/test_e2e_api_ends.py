"""`forebay api` on SIGTERM: what is in flight is answered, and the exit code is 0; a second signal does not wait."""

import signal
import socket
import time
from contextlib import closing

import httpx

from tests.e2e import probe
from tests.e2e.processes import Forebay, eventually
from tests.e2e.stage import stage

BODY = b'{"model": "%s", "inputs": {"x": [1, 0]}}' % probe.NAME.encode()


def _connected(api: Forebay) -> socket.socket:
    host, _, port = api.url.removeprefix("http://").rpartition(":")
    return socket.create_connection((host, int(port)), timeout=10)


def _head(size: int) -> bytes:
    return b"POST /predict_async HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size


def _refuses(api: Forebay) -> bool:
    """Whether the API takes no new connection any more."""
    try:
        _connected(api).close()
    except OSError:
        return True
    return False


def test_sigterm_answers_what_is_in_flight_and_ends_with_0() -> None:
    with stage(None) as on:
        api = on.place.start("api").ready()
        with closing(_connected(api)) as begun, closing(_connected(api)), closing(_connected(api)) as head:
            head.sendall(b"POST /predict")
            begun.sendall(_head(len(BODY)) + BODY[:10])
            assert httpx.get(f"{api.url}/healthz").status_code == 200
            api.signal(signal.SIGTERM)
            eventually(lambda: _refuses(api), 5)
            assert api.code is None
            begun.sendall(BODY[10:])
            answer = begun.recv(65_536)
            assert answer.startswith(b"HTTP/1.1 202 "), answer
            assert b"connection: close" in answer
        assert api.wait(5) == 0
        assert "Traceback" not in api.complained


def test_a_second_signal_does_not_wait() -> None:
    with stage(None, GRACE="30s") as on:
        api = on.place.start("api").ready()
        with closing(_connected(api)) as begun:
            begun.sendall(_head(1000) + b"{")
            assert httpx.get(f"{api.url}/healthz").status_code == 200
            api.signal(signal.SIGTERM)
            eventually(lambda: _refuses(api), 5)
            began = time.monotonic()
            api.signal(signal.SIGTERM)
            assert api.wait(8) == 130
            assert time.monotonic() - began < 7
