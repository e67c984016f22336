"""SQS's hot calls past boto3: signed as botocore signs, carried and refused as boto3 tells it."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    EndpointConnectionError,
    HTTPClientError,
    ReadTimeoutError,
)
from botocore.session import get_session
from hypothesis import given
from hypothesis import strategies as st

from pipelines.sqs.client import Endpoint, connect_lean
from pipelines.sqs.lean import LeanSqs
from pipelines.sqs.signing import Credentials, signed

_text = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40)


@given(
    _text, _text, st.none() | _text, st.binary(max_size=300), st.sampled_from(["sqs.eu-west-1.amazonaws.com", "a:9324"])
)
def test_signatures_are_those_of_botocore(key: str, secret: str, token: str | None, body: bytes, host: str) -> None:
    request = AWSRequest("POST", f"http://{host}/", data=body, headers={
        "Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "AmazonSQS.SendMessageBatch",
    })  # fmt: skip
    SigV4Auth(BotoCredentials(key, secret, token), "sqs", "eu-west-1").add_auth(request)
    now = request.headers["X-Amz-Date"]
    ours = signed(Credentials(key, secret, token), host, "eu-west-1", "SendMessageBatch", body, now)
    assert ours["authorization"] == request.headers["Authorization"]
    assert ours.get("x-amz-security-token") == request.headers.get("X-Amz-Security-Token")


class Answers(ThreadingHTTPServer):
    """Says what it is told to say; `None` hangs up."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.say: list[tuple[int, dict[str, str], bytes] | None] = []
        self.asked: list[tuple[str, bytes]] = []


class _Handler(BaseHTTPRequestHandler):
    server: Answers
    timeout = 2.0
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.asked.append((self.headers["x-amz-target"], body))
        said = self.server.say.pop(0)
        if said is None:
            self.close_connection = True
            return
        status, headers, text = said
        self.send_response(status)
        for name, value in {**headers, "content-length": str(len(text))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: Any) -> None: ...


@pytest.fixture
def answers() -> Iterator[Answers]:
    with Answers() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def sqs(answers: Answers) -> Iterator[LeanSqs]:
    client = lean(f"http://127.0.0.1:{answers.server_port}")
    yield client
    client.close()


def lean(url: str, patience: float = 5.0) -> LeanSqs:
    session = get_session()
    session.set_credentials("key", "secret")
    return connect_lean(Endpoint("eu-west-1", url), 2, patience, session)


def test_what_is_asked_and_answered(answers: Answers, sqs: LeanSqs) -> None:
    answers.say = [
        (200, {}, b'{"Successful":[{"Id":"0"}]}'),
        (200, {}, b'{"Messages":[{"Body":"x","MessageAttributes":{"a":{"DataType":"Binary","BinaryValue":"/w=="}}}]}'),
    ]
    entries = [{"Id": "0", "MessageBody": "é"}]
    assert sqs.send_message_batch(QueueUrl="u", Entries=entries) == {"Successful": [{"Id": "0"}]}
    assert answers.asked == [
        ("AmazonSQS.SendMessageBatch", '{"QueueUrl":"u","Entries":[{"Id":"0","MessageBody":"é"}]}'.encode())
    ]
    (message,) = sqs.receive_message(QueueUrl="u")["Messages"]
    assert message["MessageAttributes"]["a"]["BinaryValue"] == b"\xff"


def test_what_may_pass_is_tried_once_more(answers: Answers, sqs: LeanSqs) -> None:
    answers.say = [(503, {}, b"busy"), (200, {}, b"{}"), None, (200, {}, b"{}")]
    assert sqs.delete_message_batch(QueueUrl="u", Entries=[]) == {}
    assert sqs.delete_message_batch(QueueUrl="u", Entries=[]) == {}
    assert len(answers.asked) == 4
    answers.say = [None, None]
    with pytest.raises(ConnectionClosedError):
        sqs.delete_message_batch(QueueUrl="u", Entries=[])


@pytest.mark.parametrize(
    ("headers", "body", "code"),
    [
        (
            {"x-amzn-query-error": "AWS.SimpleQueueService.NonExistentQueue;Sender"},
            b'{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"no such queue"}',
            "AWS.SimpleQueueService.NonExistentQueue",
        ),
        ({}, b'{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"no such queue"}', "QueueDoesNotExist"),
        (
            {"x-amzn-query-error": "com.amazonaws.sqs#QueueDoesNotExist;Sender"},
            b'{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"no such queue"}',
            "QueueDoesNotExist",
        ),
        ({}, b"<html>", "400"),
    ],
)
def test_a_refusal_has_the_code_that_boto3_tells(
    answers: Answers, sqs: LeanSqs, headers: dict[str, str], body: bytes, code: str
) -> None:
    answers.say = [(400, headers, body)]
    with pytest.raises(ClientError) as refused:
        sqs.change_message_visibility_batch(QueueUrl="u", Entries=[])
    assert refused.value.response["Error"]["Code"] == code
    assert len(answers.asked) == 1


@pytest.mark.parametrize("page", [b"<html>", b"", b"[]", b'"\xff"'])
def test_a_page_in_place_of_an_answer_is_nobody_who_answers(answers: Answers, sqs: LeanSqs, page: bytes) -> None:
    """Anything else than botocore's errors would end the thread that called."""
    answers.say = [(200, {}, page)]
    with pytest.raises(HTTPClientError):
        sqs.delete_message_batch(QueueUrl="u", Entries=[])


def test_nobody_there_and_nobody_who_answers() -> None:
    nobody = lean("http://127.0.0.1:9")
    with pytest.raises(EndpointConnectionError):
        nobody.send_message_batch(QueueUrl="u", Entries=[])
    nobody.close()
    silent = HTTPServer(("127.0.0.1", 0), _Handler)  # accepts, and nobody serves
    client = lean(f"http://127.0.0.1:{silent.server_port}", patience=0.05)
    with pytest.raises(ReadTimeoutError):
        client.send_message_batch(QueueUrl="u", Entries=[])
    client.close()
    silent.server_close()
