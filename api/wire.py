"""The connection below ASGI: uvicorn's HTTP protocol with limits on what comes in before anybody was asked who they are.

uvicorn keeps whatever a client sends: heads and trailers of any length, any number of requests ahead of their answers,
connections that say nothing. What is relied on here of uvicorn's `HttpToolsProtocol` (0.32 to 0.54) is the set of
callbacks that httptools calls, and the attributes `parser`, `cycle`, `pipeline`, `flow`, `connections` and `url`.
"""

from asyncio import TimerHandle, Transport
from http import HTTPStatus

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from api.http import CLOSE
from api.problems import CONTENT_TYPE, Header, Problem, bad_request, encode

HEAD_BYTES = 64 << 10
"""Request line and headers, or trailers; also what may come without getting anywhere."""
URL_BYTES = 16 << 10
HEADERS = 100
PIPELINE = 16
"""Requests on one connection ahead of their answers."""
HEAD_S = 10.0
"""From a connection, or the first byte of a request, to the end of its head."""
BODY_S = 30.0
"""Without a byte of the body."""
REQUEST_S = 300.0
"""From the first byte of a request to its last."""
_LOOK_S = 5.0


class Wire(HttpToolsProtocol):
    """One connection. A refused one is answered with a problem, if nothing else is under way, and closed."""

    most_connections = 10_000
    """Of this process; set once, before it serves. More are answered 503."""

    # --- uvicorn's ---------------------------------------------------------------------------------------------------
    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]  # as uvicorn's
        super().connection_made(transport)
        self._refusal: Problem | None = None
        self._incomplete = self._in_head = True  # a head is awaited
        self._head = 0
        """Bytes of names and values."""
        self._unseen = 0
        """Bytes that came since the last that got somewhere: an end of headers, a piece of a body."""
        self._begun = self._moved = self.loop.time()
        self._watch: TimerHandle | None = self.loop.call_later(HEAD_S, self._look)
        if len(self.connections) > self.most_connections:
            self._refuse(_crowded(self.most_connections))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._watch is not None:
            self._watch.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refusal is not None:  # closing: what still comes is not looked at
            return
        self._unseen += len(data)
        super().data_received(data)
        if self._unseen > HEAD_BYTES and self._refusal is None:
            self._refuse(_long_head())
        if self._incomplete:
            self._moved = self.loop.time()
            if self._watch is None:
                self._watch = self.loop.call_later(_LOOK_S, self._look)

    def send_400_response(self, msg: str) -> None:
        """Called by uvicorn for what httptools could not read, or a callback here refused."""
        self._refuse(self._refusal or bad_request("this is not HTTP/1.1"))

    def _unsupported_upgrade_warning(self) -> None:
        """Anybody may ask for WebSocket; nobody needs a line in the log about it."""

    # --- httptools' --------------------------------------------------------------------------------------------------
    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._incomplete = self._in_head = True
        self._head = 0
        self._begun = self.loop.time()

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        if len(self.url) > URL_BYTES:
            self._stop(Problem(414, "invalid-request", f"expected a URL of at most {URL_BYTES} bytes"))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head += len(name) + len(value)
        if self._head > HEAD_BYTES or len(self.headers) >= HEADERS or not self._in_head:
            self._stop(_long_head() if self._in_head else bad_request("trailers are not supported"))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._unseen = 0
        if len(self.pipeline) >= PIPELINE:
            self._stop(bad_request(f"expected at most {PIPELINE} requests ahead of their answers"))
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._unseen = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._incomplete = self._in_head = False
        self._unseen = 0
        super().on_message_complete()

    # --- ours --------------------------------------------------------------------------------------------------------
    def _stop(self, problem: Problem) -> None:
        """Out of a callback: httptools makes it one of its errors, for which uvicorn calls `send_400_response`."""
        self._refusal = problem
        raise problem

    def _refuse(self, problem: Problem) -> None:
        self._refusal = problem
        if self._may_answer():
            self.transport.write(_answer(problem))
        self.transport.close()

    def _may_answer(self) -> bool:
        """Whether no other answer is under way, with which this one would be mixed up."""
        cycle = self.cycle
        if cycle is None or cycle.response_complete:
            return True
        if self._in_head or cycle.response_started or self.pipeline:
            return False
        cycle.disconnected = True  # of the application nothing more is sent
        cycle.message_event.set()
        return True

    def _look(self) -> None:
        """Armed while a request is incomplete, and looked at now and then rather than for every byte."""
        self._watch = None
        if not self._incomplete or self.transport.is_closing():
            return
        now = self.loop.time()
        if not self.flow.read_paused:  # else it is we who do not read
            slow = now - self._begun >= HEAD_S if self._in_head else now - self._moved >= BODY_S
            if slow or now - self._begun >= REQUEST_S:
                self._refuse(Problem(408, "invalid-request", "the request did not come in time"))
                return
        self._watch = self.loop.call_later(_LOOK_S, self._look)


def _long_head() -> Problem:
    return Problem(431, "invalid-request", f"expected at most {HEADERS} headers of {HEAD_BYTES} bytes in all")


def _crowded(most: int) -> Problem:
    return Problem(
        503, "overloaded", f"{most} connections are open: try again later", headers=((b"retry-after", b"1"),)
    )


def _answer(problem: Problem) -> bytes:
    body = encode(problem.body())
    length = (b"content-length", b"%d" % len(body))
    headers: list[Header] = [CONTENT_TYPE, length, CLOSE, *problem.headers]
    status = HTTPStatus(problem.status)
    lines = [b"%s: %s\r\n" % header for header in headers]
    return b"".join([b"HTTP/1.1 %d %s\r\n" % (status, status.phrase.encode()), *lines, b"\r\n", body])
