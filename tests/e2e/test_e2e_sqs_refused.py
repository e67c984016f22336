"""A job queue on SQS that cannot be used says so at the start: one line, an exit code, no traceback."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.e2e.stage import stage
from tests.services.sqs_server import REGION, SqsServer

NOWHERE = {
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": "/nowhere",
    "AWS_SHARED_CREDENTIALS_FILE": "/nowhere",
}
_DENIED = (
    b'{"__type":"com.amazon.coral.service#AccessDeniedException","Message":"User x may not perform: sqs:getqueueurl"}'
)


class Denying(BaseHTTPRequestHandler):
    """Says no to everything, as SQS does by IAM."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(403)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(_DENIED)))
        self.end_headers()
        self.wfile.write(_DENIED)

    def log_message(self, format: str, *arguments: object) -> None: ...


@contextmanager
def denying() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Denying) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def refused(queue: str, **environment: str) -> str:
    """The one line with which a worker on this queue ends."""
    with stage(None, QUEUE=queue) as on:
        on.place.environ(environment)
        worker = on.place.start("worker")
        assert worker.wait(40.0) not in (0, None)
        lines = [line for line in worker.complained.splitlines() if line.startswith("forebay: ")]
        assert "Traceback" not in worker.complained, worker.complained
        assert len(lines) == 1, worker.complained
        return lines[0]


def test_a_queue_that_is_not_there(sqs: SqsServer) -> None:
    line = refused(sqs.address("nobody-made-this"))
    assert "queue 'nobody-made-this'" in line
    assert "forebay queue create" in line


def test_no_permission() -> None:
    with denying() as endpoint:
        line = refused(f"sqs://jobs?region={REGION}&endpoint={endpoint}")
    assert "no permission" in line
    assert "sqs:getqueueurl" in line


def test_no_credentials() -> None:
    queue = f"sqs://jobs?region={REGION}&endpoint=http://127.0.0.1:1"
    line = refused(queue, **NOWHERE, AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="")
    assert "no credentials" in line


def test_no_region() -> None:
    line = refused("sqs://jobs", **NOWHERE, AWS_DEFAULT_REGION="")
    assert "region" in line


def test_nothing_answers() -> None:
    line = refused(f"sqs://jobs?region={REGION}&endpoint=http://127.0.0.1:1")
    assert "nothing answers" in line
    assert "127.0.0.1:1" in line


@pytest.mark.parametrize(
    ("queue", "client", "extra"),
    [("sqs://jobs", "boto3", "sqs"), ("kafka://127.0.0.1:1/jobs", "confluent_kafka", "kafka")],
)
@pytest.mark.parametrize("command", ["worker", "api", "queue create"])
def test_without_its_client(command: str, queue: str, client: str, extra: str) -> None:
    with stage(None, QUEUE=queue) as on:
        blocked = on.place.folder / "blocked" / client
        blocked.mkdir(parents=True)
        (blocked / "__init__.py").write_text("raise ImportError('not here')\n")
        on.place.environ({"PYTHONPATH": f"{blocked.parent}:{Path(__file__).parents[2]}"})
        process = on.place.start(*command.split())
        assert process.wait(40.0) == 1
        assert f"pip install 'forebay[{extra}]'" in process.complained
        assert "Traceback" not in process.complained
