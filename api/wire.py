"""HTTP/1.1 on a socket, within limits: what uvicorn's protocol leaves open to anyone who can connect is closed here.

Sizes cost next to nothing: the parser's callbacks only say that a part of a request came to its end, and bytes are
counted where a piece from the socket brought no such end. Times cost one timer per connection, which looks every few
seconds.

Relied on in uvicorn's HttpToolsProtocol (0.54 is what was read), beside the parser's callbacks: `cycle`, the request
whose head came last, with `body`, `response_started`, `response_complete`, `disconnected` and `message_event`; `pipeline`,
those that wait behind the one that runs, the last at the left; `flow`, which is handed on to each request;
`on_response_complete`, called once per answer; `app`, called for the next request; and `timeout_keep_alive_task`.
"""

import asyncio
from collections import deque
from http import HTTPStatus
from typing import Any, ClassVar, cast

from httptools import HttpParserError, HttpParserUpgrade
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from api.crowd import Crowded, crowded
from api.http import CLOSE, NO_STORE
from api.pieces import CUT
from api.problems import CONTENT_TYPE, Header, Problem, bad_request, encode
from api.wire_limits import WireLimits

LINGER_S = 1.0
"""How long a refused sender may go on: closing on what is unread would take the answer away from it."""
FOREVER = float("inf")


class Wire(HttpToolsProtocol):
    """One connection. Subclassed by `wire_of` with its limits, for uvicorn makes it."""

    limits: ClassVar[WireLimits]

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._in_head = True
        """Between the end of a request and the end of the next one's head."""
        self._ended = False
        """Whether the piece being parsed brought the end of a head, of a request, or bytes of a body."""
        self._piece = 0
        """Bytes of the piece being parsed."""
        self._size = 0
        """Bytes since the last such end: of an unfinished head, of trailers, or of a chunk's header."""
        self._trailers = 0
        self._since = self._heard = self.loop.time()
        """When the unfinished head began, and when the last bytes came; the loop's clock."""
        self._answered: float | None = None
        """When it was first seen that the answer was given before the request was whole."""
        self._unsent = (0, self._since)
        """Bytes that the client has not taken, and since when they are not fewer."""
        self._last_word: bytes | None = None
        """The answer to what was refused. Nothing is parsed after it."""
        self._look_at: asyncio.TimerHandle | None = None

    # --- the transport's calls -----------------------------------------------------------------------------------
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self.flow = _Flow(transport, self.pipeline)
        over = len(self.connections) - self.limits.connections
        if over > 0:
            self.app = Crowded(self.app, self.limits.connections)
        if over > self.limits.spare:
            self._last_word = _written(crowded(self.limits.connections), self.server_state.default_headers)
            transport.write(self._last_word)
            transport.close()
        self._look_at = self.loop.call_later(self.limits.head_s, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._look_at is not None:
            self._look_at.cancel()
        super().connection_lost(exc)

    def resume_writing(self) -> None:
        self._unsent = (0, self.loop.time())  # it took something, however much was written since
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        if self._last_word is not None:
            return
        self._unset_keepalive_if_required()
        self._heard = self.loop.time()
        self._piece = len(data)
        self._ended = False
        try:
            self._parse(data)
        except HttpParserError as fault:
            refusal = fault.__context__  # what a callback raised
            self._refuse(refusal if isinstance(refusal, Problem) else bad_request("expected HTTP/1.1"))
            return
        if self._ended:
            self._size = 0
            return
        if self._size == 0:
            self._since = self._heard
        self._size += self._piece
        if self._size > self.limits.head:
            self._refuse(self._too_long())

    def _parse(self, data: bytes) -> None:
        while data:
            try:
                self.parser.feed_data(data)
                return
            except HttpParserUpgrade as upgrade:  # a server may ignore it (RFC 9110, 7.8): HTTP goes on after it
                data = data[upgrade.args[0] :]

    # --- the parser's calls --------------------------------------------------------------------------------------
    def on_header(self, name: bytes, value: bytes) -> None:
        most = self.limits.headers
        if not self._in_head:
            self._trailers += 1  # left out: among the headers they would pass for what was checked
            if self._trailers > most:
                raise Problem(431, "head-too-large", f"expected at most {most} trailers")
            return
        if len(self.headers) >= most:
            raise Problem(431, "head-too-large", f"expected at most {most} headers")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        limits = self.limits
        if len(self.url) > limits.url:
            raise self._too_long()
        if self._size + self._piece > limits.head and self._head_size() > limits.head:
            raise self._too_long()
        if len(self.pipeline) >= limits.ahead:
            raise Problem(429, "overloaded", f"expected at most {limits.ahead} requests sent ahead on a connection")
        if self.parser.should_upgrade() and any(name in _BODIED and value != b"0" for name, value in self.headers):
            raise bad_request("expected a request with a body to ask for no upgrade", "upgrade")  # httptools skips it
        self._trailers = 0
        self._answered = None
        cast(dict[str, Any], self.scope)[CUT] = self._cut
        super().on_headers_complete()
        self._in_head = False
        self._ended = True

    def on_body(self, body: bytes) -> None:
        self._ended = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_head = True
        self._ended = True
        super().on_message_complete()

    def _head_size(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _too_long(self) -> Problem:
        limits = self.limits
        if not self._in_head:
            return Problem(
                431, "head-too-large", f"expected at most {limits.head} bytes of trailers or of a chunk's head"
            )
        if len(getattr(self, "url", b"")) > limits.url:
            return Problem(414, "uri-too-long", f"expected a URL of at most {limits.url} bytes")
        return Problem(431, "head-too-large", f"expected a request line and headers of at most {limits.head} bytes")

    # --- refusing ------------------------------------------------------------------------------------------------
    def _refuse(self, problem: Problem) -> None:
        """Answer and close; whoever asked before is answered first."""
        self._last_word = _written(problem, self.server_state.default_headers)
        if self._in_head:
            waits = self.cycle is not None and not self.cycle.response_complete
        elif self.pipeline:
            self.pipeline.popleft()  # the one that is refused
            waits = True
        else:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            if self.cycle.response_started:
                self.transport.close()
                return
            waits = False
        if waits:
            self.flow.pause_reading()
        else:
            self._say_last_word(self._last_word)

    def on_response_complete(self) -> None:
        was_last = not self.pipeline
        super().on_response_complete()
        if was_last and self._last_word is not None:
            self._say_last_word(self._last_word)

    def _say_last_word(self, said: bytes) -> None:
        self._unset_keepalive_if_required()
        if self.transport.is_closing():
            return
        self.transport.write(said)
        self.transport.write_eof()
        self.loop.call_later(LINGER_S, self.transport.close)

    def _cut(self) -> None:
        """The application gives its client up."""
        self.cycle.disconnected = True
        self.transport.abort()

    # --- the clock's calls ---------------------------------------------------------------------------------------
    def _look(self) -> None:
        now = self.loop.time()
        if self._stuck(now):
            self.transport.abort()
            return
        due = FOREVER if self._last_word is not None or self.transport.is_closing() else self._due(now)
        if due <= now:
            self._time_out()
        self._look_at = self.loop.call_at(min(now + self.limits.head_s, max(due, now + 0.01)), self._look)

    def _stuck(self, now: float) -> bool:
        """Whether the client takes nothing of what was written."""
        size, since = self._unsent
        unsent = self.transport.get_write_buffer_size()
        if unsent == 0 or unsent < size or size == 0:
            self._unsent = (unsent, now)
            return False
        return now - since >= self.limits.body_s

    def _due(self, now: float) -> float:
        """Until when the client may keep us waiting as it does now."""
        limits, cycle = self.limits, cast(RequestResponseCycle | None, self.cycle)
        if cycle is None:
            return self._since + limits.head_s
        if self._in_head:
            if not cycle.response_complete:
                return FOREVER  # it waits for us
            if self._size:
                return self._since + limits.head_s
            if self.timeout_keep_alive_task is None:  # the answer came before the end of the request
                return self._heard + self.timeout_keep_alive
            return FOREVER
        if cycle.response_complete:
            self._answered = now if self._answered is None else self._answered
            return self._answered + limits.head_s
        if self.flow.read_paused:
            self._heard = now
            return FOREVER
        return self._heard + limits.body_s

    def _time_out(self) -> None:
        begun = self._size > 0 if self._in_head else not self.cycle.response_started
        if begun:
            self._refuse(Problem(408, "timeout", "expected the rest of the request sooner"))
        else:
            self.transport.close()


class _Flow(FlowControl):
    """Nothing more is read while requests wait on the connection."""

    def __init__(self, transport: asyncio.Transport, pipeline: deque[Any]) -> None:
        super().__init__(transport)
        self._pipeline = pipeline

    def resume_reading(self) -> None:
        if self.read_paused and not self._pipeline:
            super().resume_reading()


def wire_of(given: WireLimits) -> type[Wire]:
    """For `uvicorn.Config(http=…)`."""

    class Limited(Wire):
        limits = given

    return Limited


_BODIED = (b"content-length", b"transfer-encoding")


def _written(problem: Problem, default_headers: list[Header]) -> bytes:
    body = encode(problem.body())
    length = (b"content-length", b"%d" % len(body))
    headers = [*default_headers, CONTENT_TYPE, length, NO_STORE, *problem.headers]
    if CLOSE not in headers:
        headers.append(CLOSE)
    line = f"HTTP/1.1 {problem.status} {HTTPStatus(problem.status).phrase}".encode()
    return b"\r\n".join([line, *(name + b": " + value for name, value in headers), b"", body])
