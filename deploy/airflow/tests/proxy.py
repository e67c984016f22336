"""A line to the service, with everything that can go wrong on one."""

import http.client
import json
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


class Fault(Enum):
    REFUSED = auto()
    """503, and the service never hears of it."""
    LOST = auto()
    """The service does it, and nobody is told."""
    TORN = auto()
    """The answer ends in its middle."""
    FOREIGN = auto()
    """Another server answers, with a page of its own."""


@dataclass
class Proxy:
    target: str
    url: str = ""
    faults: deque[Fault | None] = field(default_factory=deque)
    """Of the requests to come, in their order; None: nothing happens."""
    met: list[Fault] = field(default_factory=list)
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    """Method, path with query, and body of each request."""
    upstream: set[http.client.HTTPConnection] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def fault_of(self, asked: tuple[str, str, str]) -> Fault | None:
        with self.lock:
            self.asked.append(asked)
            fault = self.faults.popleft() if self.faults else None
            if fault:
                self.met.append(fault)
            return fault

    def ordered(self, run_id: str) -> int:
        """How often a run was submitted."""
        posts = [body for method, path, body in self.asked if (method, path) == ("POST", "/scoring_runs")]
        return sum(json.loads(body)["run_id"] == run_id for body in posts)

    def watched(self, run_id: str) -> int:
        """How often somebody began to wait for its end."""
        return sum(
            method == "GET" and path.startswith(f"/scoring_runs/{run_id}?wait=") for method, path, _ in self.asked
        )


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: Proxy

    def do_GET(self) -> None:
        self._pass_on(b"")

    def do_POST(self) -> None:
        self._pass_on(self.rfile.read(int(self.headers.get("content-length") or 0)))

    def _pass_on(self, sent: bytes) -> None:
        fault = self.proxy.fault_of((self.command, self.path, sent.decode()))
        if fault is Fault.REFUSED:
            return self._answer(503, "application/problem+json", b'{"status": 503, "detail": "no line"}')
        if fault is Fault.FOREIGN:
            return self._answer(502, "text/html", b"<html>Bad Gateway</html>")
        told = self._asked(sent)
        if told is None or fault is Fault.LOST:
            self.close_connection = True
            return None
        status, media, content = told
        return self._answer(status, media, content, torn=fault is Fault.TORN)

    def _asked(self, sent: bytes) -> tuple[int, str, bytes] | None:
        at = urlsplit(self.proxy.target)
        line = http.client.HTTPConnection(at.hostname or "", at.port, timeout=90)
        self.proxy.upstream.add(line)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection")}
        try:
            line.request(self.command, self.path, sent or None, headers)
            got = line.getresponse()
            return got.status, got.headers["content-type"], got.read()
        except (OSError, http.client.HTTPException):
            return None
        finally:
            self.proxy.upstream.discard(line)
            line.close()

    def _answer(self, status: int, media: str, content: bytes, torn: bool = False) -> None:
        with suppress(OSError):  # whoever asked is gone
            self.send_response(status)
            self.send_header("content-type", media)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2] if torn else content)
        self.close_connection = self.close_connection or torn

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def line_to(target: str) -> Iterator[Proxy]:
    proxy = Proxy(target)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"proxy": proxy}))
    server.daemon_threads = False
    proxy.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        for line in list(proxy.upstream):  # nobody waits any longer
            if line.sock is not None:
                with suppress(OSError):
                    line.sock.shutdown(2)
        server.server_close()
        thread.join()
