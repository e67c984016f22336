"""A real server on a real socket, with the limits of a test, and a client that writes bytes."""

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from api_driver import until
from starlette.types import Receive, Scope, Send

from api.http import Disconnected, headers_of, read_body, respond
from api.pace import Pace
from api.pieces import respond_in_pieces
from api.wire import wire_of
from api.wire_limits import WireLimits

GET = b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /x HTTP/1.1\r\nHost: x\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"


class Echo:
    """Answers with the path, the headers and the length of the body. `/slow` waits for `go`, `/slower` for
    `more`; `/early` reads no body; `/large` and `/pieces` answer 64 MiB, whole and in pieces."""

    def __init__(self) -> None:
        self.pace = Pace(rate=64 << 20)
        self.go = threading.Event()
        self.more = threading.Event()
        self.running = 0
        self.seen = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.seen += 1
        self.running += 1
        try:
            await self._answer(scope, receive, send)
        except Disconnected:
            pass
        finally:
            self.running -= 1

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        size = 0 if path == "/early" else len(await read_body(headers_of(scope), receive, 64 << 20))
        waits_for = {"/slow": self.go, "/slower": self.more}.get(path)
        while waits_for is not None and not waits_for.is_set():
            await asyncio.sleep(0.005)
        if path == "/large":
            await respond(send, 200, b"x" * (64 << 20))
            return
        if path == "/pieces":
            await respond_in_pieces(scope, send, 200, b"x" * (64 << 20), (), self.pace)
            return
        names = [name.decode() for name, _ in scope["headers"]]
        await respond(send, 200, json.dumps({"path": path, "headers": names, "size": size}).encode())


class Served:
    def __init__(self, app: Echo, server: uvicorn.Server, address: tuple[str, int]) -> None:
        self.app = app
        self._server = server
        self._address = address

    def connect(self) -> "Connection":
        return Connection(socket.create_connection(self._address, timeout=10))

    def ask(self, *written: bytes) -> tuple[int, Any]:
        """One connection, one answer."""
        with self.connect() as wire:
            wire.send(*written)
            return wire.answer()

    @property
    def open(self) -> int:
        """Connections that the server holds."""
        return len(self._server.server_state.connections)

    @property
    def unsent(self) -> int:
        """Bytes of answers that it holds for its clients."""
        return sum(wire.transport.get_write_buffer_size() for wire in self._server.server_state.connections)

    @property
    def paused(self) -> list[bool]:
        """By connection: whether the server has stopped to read from it."""
        return [wire.flow.read_paused for wire in self._server.server_state.connections]  # type: ignore[union-attr]  # of Wire


class Connection:
    def __init__(self, wire: socket.socket) -> None:
        self.wire = wire
        self._got = b""
        self.headers: dict[str, str] = {}

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *_raised: object) -> None:
        self.wire.close()

    def send(self, *written: bytes) -> None:
        for part in written:
            self.wire.sendall(part)

    def answer(self) -> tuple[int, Any]:
        """Status and JSON of the next answer."""
        while b"\r\n\r\n" not in self._got:
            self._more()
        head, _, self._got = self._got.partition(b"\r\n\r\n")
        line, *headers = head.decode().split("\r\n")
        self.headers = dict(header.split(": ", 1) for header in headers)
        length = int(self.headers["content-length"])
        while len(self._got) < length:
            self._more()
        body, self._got = self._got[:length], self._got[length:]
        return int(line.split(" ")[1]), json.loads(body)

    @property
    def closed(self) -> bool:
        """Whether the server has closed it, with nothing more said."""
        try:
            return self.wire.recv(1) == b""
        except ConnectionResetError:
            return True

    def _more(self) -> None:
        part = self.wire.recv(65_536)
        assert part, f"closed after {self._got!r}"
        self._got += part


@contextmanager
def serving(**limits: Any) -> Iterator[Served]:
    app = Echo()
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        app, loop="uvloop", http=wire_of(WireLimits(**limits)), ws="none", lifespan="off", access_log=False,
        log_config=None, timeout_graceful_shutdown=1,
    )  # fmt: skip
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    until(lambda: server.started)
    try:
        yield Served(app, server, listening.getsockname())
    finally:
        app.go.set()
        app.more.set()
        server.should_exit = True
        thread.join()
