"""The few things that the hot routes need of HTTP: headers, a bounded body, an answer."""

import asyncio
from collections.abc import Sequence

from starlette.types import Message, Receive, Scope, Send

from api.problems import CONTENT_TYPE as PROBLEM
from api.problems import Header, Problem, bad_request, encode

JSON: Header = (b"content-type", b"application/json")
NO_STORE: Header = (b"cache-control", b"no-store")
RETRY_AFTER: Header = (b"retry-after", b"1")
CLOSE: Header = (b"connection", b"close")

_ONCE = (b"content-type", b"content-encoding", b"content-length", b"idempotency-key", b"authorization", b"x-api-key")

Headers = dict[bytes, bytes]


class Disconnected(Exception):
    """The client went away: nobody reads an answer."""


def headers_of(scope: Scope) -> Headers:
    """By lower-case name. A header that means something may come once; `Prefer` lists are joined."""
    pairs: list[Header] = scope["headers"]
    headers = dict(pairs)
    if len(headers) != len(pairs):
        for name in _ONCE:
            if sum(pair[0] == name for pair in pairs) > 1:
                raise bad_request(f"the header {name.decode()} came more than once", name.decode())
        if b"prefer" in headers:
            headers[b"prefer"] = b", ".join(value for name, value in pairs if name == b"prefer")
    return headers


def check_media(headers: Headers) -> None:
    """415 unless the body is plain JSON."""
    coding = headers.get(b"content-encoding")
    if coding is not None and coding.strip().lower() != b"identity":
        raise Problem(
            415,
            "unsupported-media-type",
            "compressed bodies are not supported: send the JSON as it is, without Content-Encoding",
            field="content-encoding",
            headers=((b"accept-encoding", b"identity"),),
        )
    media = headers.get(b"content-type", b"application/json")
    if media != b"application/json" and not _is_json(media):
        raise Problem(
            415,
            "unsupported-media-type",
            "expected Content-Type: application/json",
            field="content-type",
            headers=((b"accept", b"application/json"),),
        )


def _is_json(media: bytes) -> bool:
    essence, *parameters = (part.strip().lower() for part in media.split(b";"))
    charsets = [parameter for parameter in parameters if parameter.startswith(b"charset=")]
    return essence == b"application/json" and all(c in (b"charset=utf-8", b'charset="utf-8"') for c in charsets)


async def read_body(headers: Headers, receive: Receive, limit: int, instead: str = "") -> bytes:
    """The body, or 413 as soon as it is known to be longer than `limit` bytes; the rest is not read. `instead`: what the
    client is told to do then."""
    length = headers.get(b"content-length")
    if length is not None and (not length.isdigit() or len(length) > 18 or int(length) > limit):
        raise too_large(limit, instead)
    message = await receive()
    if message["type"] == "http.disconnect":
        raise Disconnected
    body: bytes = message.get("body", b"")
    if not message.get("more_body", False):
        if len(body) > limit:
            raise too_large(limit, instead)
        return body
    return await _read_chunks(body, receive, limit, instead)


async def _read_chunks(first: bytes, receive: Receive, limit: int, instead: str) -> bytes:
    chunks, size, more = [first], len(first), True
    while more:
        if size > limit:
            raise too_large(limit, instead)
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        chunk = message.get("body", b"")
        size += len(chunk)
        chunks.append(chunk)
        more = message.get("more_body", False)
    if size > limit:
        raise too_large(limit, instead)
    return b"".join(chunks)


def too_large(limit: int, instead: str = "") -> Problem:
    # The connection closes with the answer, so that the server does not read on either.
    return Problem(413, "too-large", f"expected a body of at most {limit} bytes{instead}", headers=(CLOSE,))


async def respond(send: Send, status: int, body: bytes, headers: Sequence[Header] = (), kind: Header = JSON) -> None:
    await send(head(status, len(body), headers, kind))
    await send({"type": "http.response.body", "body": body})


def head(status: int, size: int, headers: Sequence[Header] = (), kind: Header = JSON) -> Message:
    """Of an answer with a body of `size` bytes."""
    length = (b"content-length", b"%d" % size)
    return {"type": "http.response.start", "status": status, "headers": [kind, length, NO_STORE, *headers]}


async def respond_problem(send: Send, problem: Problem) -> None:
    await respond(send, problem.status, encode(problem.body()), problem.headers, PROBLEM)


async def gone(receive: Receive) -> None:
    """Returns when the client goes away. Only after the body was read."""
    while (await receive())["type"] != "http.disconnect":
        await asyncio.sleep(0)
