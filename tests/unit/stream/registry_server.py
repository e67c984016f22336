"""A schema registry over HTTP, as much of it as a client needs; it can be told to be away."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Registry(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.schemas: dict[int, dict[str, Any]] = {}
        self.subjects: dict[str, list[int]] = {}
        self.asked: list[str] = []
        self.away = False
        """Answers 503 to everything."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def add(self, subject: str, schema: Any, kind: str = "AVRO", references: list[dict[str, Any]] | None = None) -> int:
        return self.put(subject, {"schema": json.dumps(schema), "schemaType": kind, "references": references or []})

    def put(self, subject: str, body: dict[str, Any]) -> int:
        known = [id for id, schema in self.schemas.items() if schema["schema"] == body["schema"]]
        id = known[0] if known else len(self.schemas) + 1
        self.schemas[id] = body
        self.subjects.setdefault(subject, []).append(id)
        return id


class _Handler(BaseHTTPRequestHandler):
    server: Registry

    def do_GET(self) -> None:
        path = self.path.partition("?")[0].strip("/").split("/")
        self.server.asked.append(self.path)
        if self.server.away:
            self._answer(503, {"error_code": 50301, "message": "away"})
        elif path[:2] == ["schemas", "ids"] and int(path[2]) in self.server.schemas:
            self._answer(200, self.server.schemas[int(path[2])])
        elif path[0] == "subjects" and path[1] in self.server.subjects:
            id = self.server.subjects[path[1]][int(path[3]) - 1]
            self._answer(200, {"subject": path[1], "version": int(path[3]), "id": id, **self.server.schemas[id]})
        else:
            self._answer(404, {"error_code": 40403, "message": "Schema not found"})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(self.path)
        if self.server.away:
            self._answer(503, {"error_code": 50301, "message": "away"})
        else:
            self._answer(200, {"id": self.server.put(self.path.split("/")[2], body)})

    def _answer(self, status: int, body: Any) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *args: Any) -> None:
        """Nothing."""


@contextmanager
def registry() -> Iterator[Registry]:
    with Registry() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
