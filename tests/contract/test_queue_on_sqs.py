"""What only a queue on SQS has to keep: demand, batches, strays, FIFO, its dead-letter queue, and the `aws` command."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from pipelines.ports import Delivery, Message
from pipelines.queues.sqs_dead import DeadQueue
from pipelines.queues.sqs_queue import SqsQueue
from pipelines.sqs.client import Endpoint, Sqs, connect
from pipelines.sqs.losses import LATE_S
from pipelines.store.port import StoreAway
from schemas.strays import Stray
from schemas.verdicts import Done
from tests.contract.sqs_queues import SqsSide
from tests.services.moto_server import ACCESS
from tests.services.sqs_server import REGION, SqsServer

WITHIN = 20.0
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def side(sqs: SqsServer) -> Iterator[SqsSide]:
    made = SqsSide(sqs, sqs.fresh_queue())
    yield made
    made.close()


def put(side: SqsSide, count: int) -> set[str]:
    messages = [Message(f"job-{n}", 0, b"{}") for n in range(count)]
    assert all(side.outlet.send(messages))
    return {message.id for message in messages}


def names(deliveries: Sequence[Delivery]) -> set[str]:
    return {delivery.message.id for delivery in deliveries if delivery.message is not None}


def settle(queue: SqsQueue, deliveries: Sequence[Delivery]) -> None:
    queue.settle([(delivery, Done(b"{}")) for delivery in deliveries])


def eventually(look: Callable[[], bool], within: float = WITHIN) -> None:
    until = time.monotonic() + within
    while not look():
        assert time.monotonic() < until, f"not within {within:g} s"
        time.sleep(0.01)


def drain(queue: SqsQueue, wanted: set[str]) -> list[Delivery]:
    found: list[Delivery] = []

    def look() -> bool:
        found.extend(queue.receive(50))
        return names(found) >= wanted

    eventually(look)
    settle(queue, found)
    return found


def is_empty(side: SqsSide) -> bool:
    return side.server.count(side.url) == (0, 0)


class TestDemand:
    def test_nobody_asks_and_nothing_is_received(self, side: SqsSide) -> None:
        put(side, 30)
        queue = side.receiver()
        time.sleep(0.5)
        assert side.server.count(side.url) == (30, 0)
        queue.receive(0)
        time.sleep(0.3)
        assert side.server.count(side.url) == (30, 0), "no credit, and yet something was received"
        drain(queue, {f"job-{n}" for n in range(30)})
        eventually(lambda: is_empty(side), 5.0)

    def test_no_more_is_received_than_was_asked_for(self, side: SqsSide) -> None:
        put(side, 60)
        queue = side.receiver()
        got: list[Delivery] = []
        eventually(lambda: bool(got.extend(queue.receive(25 - len(got))) or len(got) == 25))
        queue.receive(0)
        time.sleep(0.3)
        visible, held = side.server.count(side.url)
        assert (visible, held) == (35, 25)

    def test_what_waits_when_it_closes_is_given_back(self, side: SqsSide) -> None:
        put(side, 40)
        queue = side.receiver()
        assert queue.receive(40) == []
        eventually(lambda: len(queue._inbox) == 40)
        queue.close()
        assert side.server.count(side.url) == (40, 0)


class TestOutlet:
    def test_batches_are_bounded_by_bytes_too(self, side: SqsSide) -> None:
        big = json.dumps("x" * 60_000).encode()
        messages = [Message(f"job-{n}", 0, big) for n in range(12)]
        assert side.outlet.send(messages) == [True] * 12
        got = drain(side.receiver(), {message.id for message in messages})
        assert {delivery.message.inputs for delivery in got if delivery.message is not None} == {big}

    def test_what_sqs_does_not_take_in_a_body_stays_in_its_row(self, side: SqsSide) -> None:
        assert side.outlet.send([Message("a", 3, '"\uffff"'.encode())]) == [True]
        (got,) = drain(side.receiver(), {"a"})
        assert got.message == Message("a", 3, received=1)

    def test_one_that_is_away_answers_no_in_time(self) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))  # bound and not listening: refused
            with pytest.MonkeyPatch.context() as patch:
                for name, value in ACCESS.items():
                    patch.setenv(name, value)
                client = connect(Endpoint(REGION, f"http://127.0.0.1:{taken.getsockname()[1]}"), 2, 1.0)
            side = SqsSide(SqsServer("http://127.0.0.1:1"), "http://127.0.0.1:1/0/jobs")
            outlet = side.sender(client, patience=0.25)
            begun = time.monotonic()
            assert outlet.send([Message("a", 0), Message("b", 0)]) == [False, False]
            assert not outlet.answers()
            assert time.monotonic() - begun < 1.0
            outlet.close()
            side.close()

    def test_a_delay_is_the_sweeper_s(self, side: SqsSide) -> None:
        assert side.outlet.send([Message("a", 0)], delay=1.0) == [False]
        assert side.outlet.answers()


class TestStrays:
    def send_raw(self, side: SqsSide, bodies: Sequence[str]) -> list[str]:
        attributes = {
            "who": {"DataType": "String", "StringValue": "me"},
            "b": {"DataType": "Binary", "BinaryValue": b"\xff"},
        }
        return [
            side.server.client.send_message(QueueUrl=side.url, MessageBody=body, MessageAttributes=attributes)[
                "MessageId"
            ]
            for body in bodies
        ]

    def test_they_are_kept_with_their_origin_and_leave_the_queue(self, side: SqsSide) -> None:
        bodies = ["junk", "{}", "[" * 9999, '{"id":"a","generation":-1}']
        sent = self.send_raw(side, bodies)
        wanted = put(side, 5)
        drain(side.receiver(), wanted)
        eventually(lambda: len(side.kept) == 4 and is_empty(side))
        assert {stray.position: stray.raw for stray in side.kept} == {
            id: body.encode() for id, body in zip(sent, bodies, strict=True)
        }
        assert {stray.source for stray in side.kept} == {side.url.rpartition("/")[2]}
        assert side.kept[0].headers == (("b", b"\xff"), ("who", b"me"))

    def test_while_the_store_is_away_they_wait(self, side: SqsSide) -> None:
        away = [True]
        kept: list[Stray] = []

        def keep(strays: Sequence[Stray]) -> None:
            if away[0]:
                raise StoreAway("store: away")
            kept.extend(strays)

        self.send_raw(side, ["junk"])
        queue = side.receiver(keep=keep)
        eventually(lambda: bool(queue.receive(10)) or len(queue._strangers) > 0)
        for _ in range(3):
            with pytest.raises(StoreAway):
                queue.receive(10)
        assert side.server.count(side.url) == (0, 1)
        away[0] = False
        assert queue.receive(10) == []
        assert len(kept) == 1
        eventually(lambda: is_empty(side), 5.0)


class TestFifo:
    def test_no_job_waits_for_another_and_a_second_send_is_not_swallowed(self, sqs: SqsServer) -> None:
        side = SqsSide(sqs, sqs.fresh_queue(fifo=True))
        wanted = put(side, 40)
        queue = side.receiver()
        got: list[Delivery] = []
        eventually(lambda: bool(got.extend(queue.receive(50)) or names(got) == wanted))
        settle(queue, got)
        eventually(lambda: is_empty(side), 5.0)
        assert put(side, 40) == wanted  # within the five minutes in which SQS drops what has the same deduplication id
        drain(queue, wanted)
        eventually(lambda: is_empty(side), 5.0)
        side.close()

    def test_ids_that_are_no_group_s_name_are_sent_all_the_same(self, sqs: SqsServer) -> None:
        side = SqsSide(sqs, sqs.fresh_queue(fifo=True))
        assert side.outlet.send([Message("jób 1", 0), Message("x" * 128, 0)]) == [True, True]
        drain(side.receiver(), {"jób 1", "x" * 128})
        side.close()


def test_what_sqs_gave_up_comes_with_the_mark_and_leaves_its_dead_letter_queue(sqs: SqsServer) -> None:
    dead = sqs.fresh_queue()
    policy = {"deadLetterTargetArn": sqs.arn(dead), "maxReceiveCount": "2"}
    side = SqsSide(sqs, sqs.fresh_queue({"RedrivePolicy": json.dumps(policy)}))
    put(side, 3)

    def given_up() -> bool:
        sqs.client.receive_message(QueueUrl=side.url, MaxNumberOfMessages=10, VisibilityTimeout=0)
        return sqs.count(dead)[0] == 3

    eventually(given_up)
    queue = side.receiver(dead=DeadQueue(dead, 2))
    got: list[Delivery] = []
    eventually(lambda: bool(got.extend(queue.receive(10)) or len(got) == 3))
    assert {
        delivery.message.doom.error for delivery in got if delivery.message is not None and delivery.message.doom
    } == {"SQS gave its message up after 2 receives: no worker came to an answer"}
    assert queue.extend(got) == got
    settle(queue, got)
    eventually(lambda: sqs.count(dead) == (0, 0), 5.0)
    side.close()


def test_what_other_queues_gave_up_stays_in_a_dead_letter_queue_that_is_shared(sqs: SqsServer) -> None:
    dead = sqs.fresh_queue()
    policy = {"RedrivePolicy": json.dumps({"deadLetterTargetArn": sqs.arn(dead), "maxReceiveCount": "1"})}
    side, others = SqsSide(sqs, sqs.fresh_queue(policy)), SqsSide(sqs, sqs.fresh_queue(policy))
    put(others, 12)
    put(side, 3)

    def given_up() -> bool:
        for url in (side.url, others.url):
            sqs.client.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0)
        return sqs.count(dead)[0] == 15

    eventually(given_up)
    queue = side.receiver(dead=DeadQueue(dead, 1, sqs.arn(side.url)))
    got: list[Delivery] = []
    eventually(lambda: bool(got.extend(queue.receive(50)) or len(got) == 3))
    settle(queue, got)
    eventually(lambda: not queue.receive(50) and sqs.count(dead) == (12, 0), 5.0)
    queue.close()
    assert side.kept == []
    side.close()
    others.close()


def test_how_often_a_message_came_is_told(side: SqsSide) -> None:
    put(side, 1)
    for times in (1, 2, 3):
        queue = side.receiver()
        (got,) = first(queue)
        assert got.message is not None
        assert got.message.received == times
        side.crash(queue)


def first(queue: SqsQueue) -> list[Delivery]:
    got: list[Delivery] = []
    eventually(lambda: bool(got.extend(queue.receive(10)) or got))
    return got


class TestTheAwsCommand:
    def aws(self, side: SqsSide, *arguments: str) -> dict[str, object]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")} | ACCESS
        command = [sys.executable, "-m", "awscli", "--endpoint-url", side.server.endpoint, "--output", "json", "sqs"]
        done = subprocess.run(
            [*command, arguments[0], "--queue-url", side.url, *arguments[1:]],
            env=environment, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        found: dict[str, object] = json.loads(done.stdout or "{}")
        return found

    def test_it_sends_what_we_receive_and_receives_what_we_send(self, side: SqsSide) -> None:
        self.aws(side, "send-message", "--message-body", '{"id": "by-hand", "generation": 2}')
        queue = side.receiver()
        (got,) = drain(queue, {"by-hand"})
        assert got.message == Message("by-hand", 2, received=1)
        side.crash(queue)
        side.outlet.send([Message("job-1", 4, b'{"x":1}', traceparent=TRACE)])
        answer = self.aws(side, "receive-message", "--message-attribute-names", "All")
        (found,) = answer["Messages"]  # type: ignore[misc]  # JSON
        body = json.loads(found["Body"])
        assert (body["id"], body["generation"], body["inputs"]) == ("job-1", 4, {"x": 1})
        assert found["MessageAttributes"]["traceparent"]["StringValue"] == TRACE


def test_the_depth_is_what_sqs_tells(side: SqsSide) -> None:
    put(side, 7)
    queue = side.receiver()
    eventually(lambda: queue.depth.get((side.url.rpartition("/")[2], "visible")) == 7, 5.0)


def test_a_queue_that_was_made_anew_is_told_as_a_loss(side: SqsSide) -> None:
    queue, name = side.receiver(), side.url.rpartition("/")[2]

    def sees(missing: bool) -> bool:
        queue.receive(10)
        return (queue.away is not None) is missing

    side.server.client.delete_queue(QueueUrl=side.url)
    eventually(lambda: sees(missing=True))
    side.server.client.create_queue(QueueName=name)
    eventually(lambda: sees(missing=False))
    side.ahead = LATE_S
    assert side.outlet.lost() == [name]
    assert side.outlet.lost() == []


class Broken:
    """A client with a bug in one of its calls."""

    def __init__(self, client: Sqs, call: str) -> None:
        self._client = client
        self._call = call

    def __getattr__(self, name: str) -> Any:
        return self._raise if name == self._call else getattr(self._client, name)

    def _raise(self, **asked: Any) -> Any:
        raise LookupError("a bug")


@pytest.mark.parametrize("call", ["receive_message", "delete_message_batch", "get_queue_attributes"])
def test_a_bug_that_ends_a_thread_of_the_queue_is_raised_by_a_receive(side: SqsSide, call: str) -> None:
    put(side, 3)
    queue = side.receiver(client=Broken(side.server.lean, call))

    def raised() -> bool:
        try:
            settle(queue, queue.receive(10))
        except LookupError:
            return True
        return False

    eventually(raised, 5.0)
