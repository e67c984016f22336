"""A tiny API on a real socket that accepts a job and then, as often as asked, drops the connection instead of answering."""

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Jobs:
    """Accepted jobs by idempotency key, and how many there were open at most."""

    def __init__(self, drops: int = 0) -> None:
        self.lock = threading.Lock()
        self.drops = drops
        self.by_key: dict[str, Any] = {}
        self.posts: Counter[str] = Counter()
        self.open = 0
        self.most_open = 0

    def accept(self, key: str, inputs: Any) -> str:
        with self.lock:
            self.posts[key] += 1
            self.by_key.setdefault(key, inputs)
            return f"job-{list(self.by_key).index(key)}"

    def enter(self) -> None:
        with self.lock:
            self.open += 1
            self.most_open = max(self.most_open, self.open)

    def leave(self) -> None:
        with self.lock:
            self.open -= 1

    def drop(self) -> bool:
        with self.lock:
            self.drops -= 1
            return self.drops >= 0


@contextmanager
def serving(jobs: Jobs) -> Iterator[str]:
    """The URL of the API."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            jobs.enter()
            try:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                answer = self.accept(body)
                if jobs.drop():
                    self.close_connection = True  # accepted, and nobody will hear of it
                    return
            finally:
                jobs.leave()
            self.answer(200 if "prefer" in self.headers else 202, answer)

        def accept(self, body: Any) -> Any:
            if "jobs" not in body:
                return _standing(jobs.accept(self.headers["idempotency-key"], body["inputs"]), body["inputs"])
            entries = body["jobs"]
            return {"jobs": [_standing(jobs.accept(e["idempotency_key"], e["inputs"]), e["inputs"]) for e in entries]}

        def answer(self, status: int, body: Any) -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _standing(id: str, inputs: Any) -> dict[str, Any]:
    return {
        "job_id": id, "status": "succeeded", "model": "m", "version": "1", "attempt": 1, "generation": 0,
        "timings": {"submitted_at": "2026-11-20T10:00:00Z"}, "result": {"y": inputs},
    }  # fmt: skip
