"""What may come before a key is looked at is limited: heads, URLs, trailers, requests sent ahead, connections."""

from collections.abc import Iterator

import pytest
from api_driver import until
from wire_driver import CHUNKED, GET, POST, Served, serving

HEAD = 64 << 10


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with serving(connections=8, spare=2) as served:
        yield served


def problem(server: Served, *written: bytes) -> tuple[int, str]:
    """Status and kind of the refusal; the connection closes with it."""
    with server.connect() as wire:
        wire.send(*written)
        status, body = wire.answer()
        assert wire.headers["content-type"] == "application/problem+json"
        assert wire.headers["connection"] == "close"
        assert body["status"] == status
        assert wire.closed
    return status, body["type"].removeprefix("/problems/")


def head(size: int, end: bytes = b"\r\n\r\n") -> bytes:
    begin = GET[:-2] + b"X-Long: "
    return begin + b"a" * (size - len(begin) - len(end)) + end


def test_a_head_up_to_the_limit_is_served(server: Served) -> None:
    assert server.ask(head(HEAD))[0] == 200
    assert server.ask(POST + b"".join(b"X-%d: y\r\n" % n for n in range(98)) + b"Content-Length: 1\r\n\r\nx")[0] == 200


@pytest.mark.parametrize("end", [b"\r\n\r\n", b""])
@pytest.mark.parametrize("size", [HEAD + 64, 1 << 20])
def test_a_longer_head_is_refused_whether_it_ends_or_not(server: Served, size: int, end: bytes) -> None:
    assert problem(server, head(size, end)) == (431, "head-too-large")


def test_a_head_in_small_pieces_is_counted_too(server: Served) -> None:
    pieces = [GET[:-2], *(b"X-%05d: %s\r\n" % (n, b"a" * 2000) for n in range(40))]
    assert problem(server, *pieces) == (431, "head-too-large")


def test_empty_lines_before_a_request_are_counted_too(server: Served) -> None:
    assert problem(server, b"\r\n" * HEAD) == (431, "head-too-large")


def test_more_than_100_headers_are_refused(server: Served) -> None:
    assert problem(server, GET[:-2] + b"A:\r\n" * 100 + b"\r\n") == (431, "head-too-large")


@pytest.mark.parametrize(
    ("size", "end"), [(8193, b" HTTP/1.1\r\n\r\n"), (300_000, b" HTTP/1.1\r\n\r\n"), (300_000, b"")]
)
def test_a_long_url_is_refused_whether_it_ends_or_not(server: Served, size: int, end: bytes) -> None:
    assert problem(server, b"GET /" + b"u" * (size - 1) + end) == (414, "uri-too-long")


def test_the_longest_url_is_served(server: Served) -> None:
    assert server.ask(b"GET /" + b"u" * 8191 + b" HTTP/1.1\r\n\r\n")[0] == 200


def test_a_body_of_many_pieces_has_no_limit_here(server: Served) -> None:
    size = 4 << 20
    assert server.ask(POST + b"Content-Length: %d\r\n\r\n" % size + b"x" * size)[1]["size"] == size
    chunks = b"".join(b"%x\r\n" % 100_000 + b"x" * 100_000 + b"\r\n" for _ in range(20))
    assert server.ask(CHUNKED + chunks + b"0\r\n\r\n")[1]["size"] == 2_000_000


def test_trailers_are_left_out(server: Served) -> None:
    status, body = server.ask(CHUNKED + b"1\r\nx\r\n0\r\nX-API-Key: mine\r\n\r\n")
    assert (status, body["size"]) == (200, 1)
    assert "x-api-key" not in body["headers"]


@pytest.mark.parametrize(
    "trailers",
    [b"A:\r\n" * 101 + b"\r\n", b"X: " + b"a" * (1 << 20)],
    ids=["many", "long"],
)
def test_unlimited_trailers_are_refused(server: Served, trailers: bytes) -> None:
    assert problem(server, CHUNKED + b"1\r\nx\r\n", b"0\r\n", trailers) == (431, "head-too-large")


def test_an_unlimited_chunk_extension_is_refused(server: Served) -> None:
    assert problem(server, CHUNKED, b"1;" + b"a" * (1 << 20)) == (431, "head-too-large")


@pytest.mark.parametrize(
    "written",
    [
        b"what\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /\xff HTTP/1.1\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nX Y: 1\r\n\r\n",
        POST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        CHUNKED + b"zz\r\n",
        POST + b"Content-Length: 1\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\nx",
    ],
)
def test_what_is_no_http_is_told_as_a_problem(server: Served, written: bytes) -> None:
    assert problem(server, written) == (400, "invalid-request")


def test_an_upgrade_is_ignored(server: Served) -> None:
    with server.connect() as wire:
        upgrade = GET[:-2] + b"Connection: upgrade\r\nUpgrade: websocket\r\n\r\n"
        wire.send(upgrade + GET)
        assert [wire.answer()[0], wire.answer()[0]] == [200, 200]
        wire.send(GET)
        assert wire.answer()[0] == 200


def test_requests_sent_ahead_are_answered_in_order(server: Served) -> None:
    with server.connect() as wire:
        wire.send(b"".join(GET.replace(b"/x", b"/%d" % n) for n in range(17)))
        assert [wire.answer()[1]["path"] for _ in range(17)] == [f"/{n}" for n in range(17)]


def test_too_many_requests_sent_ahead_are_refused_after_those_before(server: Served) -> None:
    server.app.go.clear()
    before = server.app.seen
    with server.connect() as wire:
        wire.send(GET.replace(b"/x", b"/slow"), GET * 5000)
        server.app.go.set()
        assert [wire.answer()[0] for _ in range(18)] == [200] * 17 + [429]
        assert wire.closed
    assert server.app.seen - before == 17


def test_nothing_is_read_while_requests_wait(server: Served) -> None:
    until(lambda: server.open == 0)
    server.app.go.clear()
    server.app.more.clear()
    with server.connect() as wire:
        wire.send(GET.replace(b"/x", b"/slow") + GET.replace(b"/x", b"/slower") + GET)
        until(lambda: server.paused == [True])
        server.app.go.set()
        assert wire.answer()[0] == 200
        until(lambda: server.app.running == 1)
        assert server.paused == [True], "one still waits"
        wire.wire.settimeout(0.5)
        with pytest.raises(TimeoutError):
            wire.send(b"x" * (64 << 20))
        server.app.more.set()


def test_what_is_refused_behind_a_request_takes_no_answer_away(server: Served) -> None:
    server.app.go.clear()
    with server.connect() as wire:
        wire.send(GET.replace(b"/x", b"/slow") + GET + b"what\r\n\r\n")
        server.app.go.set()
        assert [wire.answer()[0] for _ in range(3)] == [200, 200, 400]


def test_connections_beyond_the_limit_are_told_to_come_back(server: Served) -> None:
    until(lambda: server.open == 0)
    held = [server.connect() for _ in range(8)]
    for wire in held:
        wire.send(GET)
        wire.answer()
    with server.connect() as ninth:
        ninth.send(GET)
        status, body = ninth.answer()
        assert (status, body["type"]) == (503, "/problems/overloaded")
        assert ninth.headers["retry-after"]
        assert ninth.headers["connection"] == "close"
    with server.connect() as probe:
        probe.send(GET.replace(b"/x", b"/healthz"))
        assert probe.answer()[0] == 200
    for wire in held:
        wire.send(GET)
        assert wire.answer()[0] == 200
        wire.wire.close()


def test_a_flood_of_connections_is_closed_at_once(server: Served) -> None:
    until(lambda: server.open == 0)
    wires = [server.connect() for _ in range(40)]
    assert sum(wire.answer()[0] == 503 for wire in wires[10:]) == 30
    until(lambda: server.open <= 10)
    for wire in wires:
        wire.wire.close()
