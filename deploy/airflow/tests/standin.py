"""Stands in for the service in the tests of single steps, which need what Forebay itself does not do on demand: a run that never
ends, fails once and then succeeds, or fails for a reason that passes; a store that is away. It speaks the HTTP contract of
scoring runs on a real socket and does no work: what a run comes to follows from its model. test_contract.py holds it against
Forebay, and whole DAGs run on Forebay itself."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

KEY = "s3cret-of-these-tests"
ROWS = 1000
ENDED = {"succeeded", "failed", "canceled"}
FAILURES = {
    "flaky": ("storage_fault", "the storage is full: 0 bytes left at s3://lake"),
    "spoilt": ("too_many_rejects", "12 of 1,000 rows were rejected, 1.2 %, where 1 % are allowed: see _rejects/"),
}


@dataclass
class Kept:
    order: dict[str, Any]
    status: str = "queued"
    attempts: int = 0
    error: dict[str, str] | None = None

    def work(self) -> None:
        """What a worker does with it, in no time."""
        model = self.order["model"]
        if self.status in ENDED or model == "endless":
            return
        self.attempts += 1
        failed = model in FAILURES and not (model == "flaky" and self.attempts > 1)
        reason, message = FAILURES.get(model, ("", ""))
        self.error = {"reason": reason, "message": message} if failed else None
        self.status = "failed" if failed else "succeeded"

    def told(self, run_id: str) -> dict[str, Any]:
        rows = 0 if self.order["model"] == "empty" else ROWS
        done = rows if self.status == "succeeded" else 0
        body = {
            "run_id": run_id,
            "status": self.status,
            "progress": {"rows": done, "rows_total": rows, "parts": int(done > 0), "parts_total": int(rows > 0),
                         "rejected": done // 500},
            "attempts": self.attempts,
            "timings": {},
        }  # fmt: skip
        if self.error:
            body["error"] = self.error
        if self.status == "succeeded":
            body["summary"] = {"output": self.order["output"], "seconds": 0.1}
        return body


@dataclass
class StandIn:
    url: str = ""
    runs: dict[str, Kept] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    """Method and path of each request."""
    away: int = 0
    """How many more requests are answered 503."""
    changed: threading.Condition = field(default_factory=threading.Condition)

    def answer(self, method: str, path: str, wait: float, body: Any) -> tuple[int, dict[str, Any]]:
        with self.changed:
            self.asked.append(f"{method} {path}")
            self.changed.notify_all()
            if self.away > 0:
                self.away -= 1
                return problem(503, "unavailable", "the store is away")
            match [unquote(part) for part in path.strip("/").split("/")]:
                case ["scoring_runs"] if method == "POST":
                    return self._submitted(body)
                case ["scoring_runs", run_id] if method == "GET" and run_id in self.runs:
                    return self._looked_at(run_id, wait)
                case ["scoring_runs", run_id, "cancel"] if method == "POST" and run_id in self.runs:
                    return self._canceled(run_id)
            return problem(404, "unknown-run", "no scoring run with this id")

    def _submitted(self, order: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        run_id = order["run_id"]
        kept = self.runs.setdefault(run_id, Kept(order))
        if kept.order != order:
            return problem(422, "run-conflict", f"run id {run_id} belongs to another order")
        if kept.status in {"failed", "canceled"}:
            kept.status, kept.error = "queued", None
        link = f"/scoring_runs/{run_id}"
        return 202, {"run_id": run_id, "status": kept.status, "links": {"self": link, "cancel": f"{link}/cancel"}}

    def _looked_at(self, run_id: str, wait: float) -> tuple[int, dict[str, Any]]:
        """Whoever waits sees it end; whoever only looks does not."""
        kept = self.runs[run_id]
        if wait:
            kept.work()
            self.changed.wait_for(lambda: kept.status in ENDED, wait)
        return 200 if kept.status in ENDED else 202, kept.told(run_id)

    def _canceled(self, run_id: str) -> tuple[int, dict[str, Any]]:
        kept = self.runs[run_id]
        if kept.status not in ENDED:
            kept.status = "canceled"
        self.changed.notify_all()
        return 200, kept.told(run_id)

    def count(self, method: str, ending: str) -> int:
        return sum(line.startswith(method) and line.endswith(ending) for line in self.asked)


def problem(status: int, kind: str, detail: str) -> tuple[int, dict[str, Any]]:
    return status, {"type": f"/problems/{kind}", "title": kind, "status": status, "detail": detail}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    stand_in: StandIn

    def do_GET(self) -> None:
        self._answer(None)

    def do_POST(self) -> None:
        sent = self.rfile.read(int(self.headers.get("content-length") or 0))
        self._answer(json.loads(sent) if sent else None)

    def _answer(self, body: Any) -> None:
        if self.headers.get("authorization") != f"Bearer {KEY}":
            status, said = problem(401, "unauthorized", "a valid key is needed")
        else:
            at = urlsplit(self.path)
            wait = float(parse_qs(at.query).get("wait", ["0"])[0])
            status, said = self.stand_in.answer(self.command, at.path, wait, body)
        content = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json" if status < 400 else "application/problem+json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def stand_in() -> Iterator[StandIn]:
    kept = StandIn()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"stand_in": kept}))
    server.daemon_threads = False
    kept.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield kept
    finally:
        for run in kept.runs.values():  # nobody waits any longer
            run.status = run.status if run.status in ENDED else "canceled"
        with kept.changed:
            kept.changed.notify_all()
        server.shutdown()
        server.server_close()
        thread.join()
