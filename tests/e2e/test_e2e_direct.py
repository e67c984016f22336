"""Another service puts jobs on the queue itself: each is answered under its id, what is wrong is a dead letter, and a worker
that is killed in between makes no second job of one message."""

import json
import random
from collections.abc import Callable, Sequence
from typing import Any

import httpx
import pytest
from confluent_kafka import Producer

from pipelines.store.opening import open_store
from schemas.jobs import JobFilter
from schemas.reasons import Reason
from schemas.states import State
from tests.e2e import probe
from tests.e2e.kills import kill_in_mid_batch
from tests.e2e.processes import eventually
from tests.e2e.stage import Ground, Stage, stage

JOBS = 300
Feed = Callable[[Sequence[bytes]], None]


@pytest.fixture(params=["kafka", "sqs"])
def ground(request: pytest.FixtureRequest) -> tuple[Ground, Feed]:
    return _on_kafka(request) if request.param == "kafka" else _on_sqs(request)


def _on_sqs(request: pytest.FixtureRequest) -> tuple[Ground, Feed]:
    server = request.getfixturevalue("elasticmq")
    url = server.fresh_queue()
    attributes = {"made-by": {"DataType": "String", "StringValue": "somebody"}}

    def feed(bodies: Sequence[bytes]) -> None:
        for body in bodies:
            server.client.send_message(QueueUrl=url, MessageBody=body.decode(), MessageAttributes=attributes)

    return Ground(str(request.getfixturevalue("postgres_url")), server.address(url)), feed


def _on_kafka(request: pytest.FixtureRequest) -> tuple[Ground, Feed]:
    broker = request.getfixturevalue("kafka")
    topic = broker.fresh_topic(partitions=3)

    def feed(bodies: Sequence[bytes]) -> None:
        producer = Producer({"bootstrap.servers": broker.bootstrap, "acks": "all"})
        for body in bodies:
            producer.produce(topic, body, headers={"made-by": "somebody"})
        assert producer.flush(30) == 0

    return Ground(None, f"kafka://{broker.bootstrap}/{topic}"), feed


def body(n: int, **more: Any) -> bytes:
    return json.dumps({"id": f"order-{n}", "model": probe.NAME, "inputs": probe.inputs(n), **more}).encode()


def result(url: str, id: str) -> Any:
    """Unknown until a worker has claimed it."""
    eventually(lambda: httpx.get(f"{url}/result/{id}").status_code == 200, 60)
    return httpx.get(f"{url}/result/{id}").json()


@pytest.mark.timeout(180)
def test_jobs_of_another_service(ground: tuple[Ground, Feed]) -> None:
    where, feed = ground
    with stage(where.store, **where.settings) as on:
        api, worker = on.serve()
        feed([body(n) for n in range(1, JOBS + 1)])
        feed(
            [body(1), b"no job", b'{"model":"probe","id":"wrong","inputs":{"x":[1]}}', b'{"model":"none","inputs":{}}']
        )
        kill_in_mid_batch(on, worker, random.Random(7))
        on.place.start("worker").ready()
        for n in (1, JOBS):
            assert result(api.url, f"order-{n}")["result"] == {"y": [probe.f(n)]}
        told = result(api.url, "wrong")
        assert (told["status"], told["error"]["reason"]) == ("failed", "invalid_input")
        on.rest(within=where.within)
        _check(on)


def _check(on: Stage) -> None:
    """I6: each message is a job, once, or a stray."""
    store = open_store(on.place.store)
    views = store.list_jobs(None, JobFilter(), 2 * JOBS).items
    strays = store.strays(10)
    store.close()
    done = sorted(view.id for view in views if view.state is State.SUCCEEDED)
    assert done == sorted(f"order-{n}" for n in range(1, JOBS + 1))
    failed = [view for view in views if view.state is not State.SUCCEEDED]
    assert [view.reason for view in failed] == [Reason.INVALID_INPUT] * 2
    assert {view.model for view in failed} == {probe.NAME, "none"}
    assert all(view.origin.startswith(("forebay-test-", "sqs:t-")) for view in views)
    assert [(stray.raw, stray.headers) for stray in strays] == [(b"no job", (("made-by", b"somebody"),))]
