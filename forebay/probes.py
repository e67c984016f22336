"""What a worker without an API answers over HTTP: /metrics, /healthz and /readyz."""

import socket
import threading
from collections.abc import Callable, Iterable, Sequence
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import msgspec
from prometheus_client import CollectorRegistry, make_wsgi_app

Unready = Callable[[], Sequence[str]]
"""One line for each thing that keeps this process from its work right now."""
Degraded = Callable[[], Sequence[str]]
"""One line for each thing that is wrong and stops nothing."""
Answer = Iterable[bytes]

_SILENT_S = 10.0
"""A connection that says nothing for so long is closed."""


def serve_probes(
    host: str, port: int, registry: CollectorRegistry, unready: Unready, degraded: Degraded = tuple
) -> int:
    """In a thread of its own; the port they are served on (0: one that is free). Raises OSError."""
    family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
    kind = _Server6 if family == socket.AF_INET6 else _Server
    server = make_server(host, port, _app(registry, unready, degraded), server_class=kind, handler_class=_Handler)
    threading.Thread(target=server.serve_forever, name="forebay-probes", daemon=True).start()
    return int(server.server_port)


def _app(registry: CollectorRegistry, unready: Unready, degraded: Degraded) -> Callable[[dict[str, Any], Any], Answer]:
    metrics = make_wsgi_app(registry)

    def answer(environ: dict[str, Any], start_response: Any) -> Answer:
        path = environ["PATH_INFO"]
        if path in ("/metrics", "/"):
            return metrics(environ, start_response)  # type: ignore[no-any-return]  # it has no annotations
        if path == "/healthz":
            return _said(start_response, "200 OK", {"status": "ok"})
        if path == "/readyz":
            why = unready()
            body = {"status": "unready" if why else "ready", "unready": why, "degraded": degraded()}
            return _said(start_response, "503 Service Unavailable" if why else "200 OK", body)
        return _said(start_response, "404 Not Found", {"detail": "expected /metrics, /healthz or /readyz"})

    return answer


def _said(start_response: Any, status: str, body: object) -> Answer:
    start_response(status, [("Content-Type", "application/json")])
    return [msgspec.json.encode(body)]


class _Handler(WSGIRequestHandler):
    timeout = _SILENT_S

    def log_message(self, format: str, *arguments: Any) -> None:
        """Probes come every few seconds: nobody wants a line of each."""


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Server6(_Server):
    address_family = socket.AF_INET6
