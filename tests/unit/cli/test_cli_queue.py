"""`forebay queue create`: queues, dead-letter queues and their policy on a real SQS server; topics on Kafka."""

import json
import shutil

import pytest
from cli_driver import Command

from forebay.cli.errors import Exit
from tests.services.broker import Broker
from tests.services.moto_server import ACCESS
from tests.services.sqs_server import SqsServer


@pytest.fixture(autouse=True)
def access(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ACCESS.items():
        monkeypatch.setenv(name, value)


def two_pools(forebay: Command) -> None:
    spec = forebay.models / "digits" / "model.yaml"
    other = forebay.models / "figures"
    shutil.copytree(spec.parent, other)
    text = spec.read_text().replace("name: digits", "name: figures\npool: gpu")
    (other / "model.yaml").write_text(text)


@pytest.mark.parametrize("fifo", [False, True])
def test_each_pool_has_a_queue_and_a_dead_letter_queue(
    forebay: Command, sqs: SqsServer, monkeypatch: pytest.MonkeyPatch, fifo: bool
) -> None:
    two_pools(forebay)
    stem, end = sqs.fresh_name(), ".fifo" if fifo else ""
    monkeypatch.setenv("FOREBAY_QUEUE", sqs.address(f"{stem}-{{pool}}{end}"))
    monkeypatch.setenv("FOREBAY_LEASE", "45s")
    said = forebay("queue", "create", "--json")
    assert said.code == 0, said.err
    assert [(each["queue"], each["dead_letter_queue"], each["status"]) for each in said.records] == [
        (f"{stem}-{pool}{end}", f"{stem}-{pool}-dlq{end}", "made") for pool in ("default", "gpu")
    ]
    url = sqs.client.get_queue_url(QueueName=f"{stem}-gpu{end}")["QueueUrl"]
    found = sqs.client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    policy = json.loads(found["RedrivePolicy"])
    assert (found["VisibilityTimeout"], int(policy["maxReceiveCount"])) == ("45", 100)
    assert policy["deadLetterTargetArn"].endswith(f":{stem}-gpu-dlq{end}")


def test_again_it_says_what_differs_and_changes_it_only_when_told(
    forebay: Command, sqs: SqsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = sqs.fresh_name()
    monkeypatch.setenv("FOREBAY_QUEUE", sqs.address(name))
    assert forebay("queue", "create").out == f"queue {name}: made, with dead-letter queue {name}-dlq\n"
    (same,) = forebay("queue", "create", "--json").records
    assert (same["status"], same["made"], same["differs"]) == ("there", [], {})
    (other,) = forebay("queue", "create", "--json", "--max-receives", "7").records
    assert (other["status"], list(other["differs"])) == ("there", ["RedrivePolicy"])
    assert "--update makes it" in forebay("queue", "create", "--max-receives", "7").out
    (changed,) = forebay("queue", "create", "--json", "--max-receives", "7", "--update").records
    assert (changed["status"], list(changed["changed"])) == ("changed", ["RedrivePolicy"])
    (same,) = forebay("queue", "create", "--json", "--max-receives", "7").records
    assert (same["status"], same["differs"]) == ("there", {})


def test_a_topic_is_made_too(forebay: Command, kafka: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    topic = kafka.fresh_topic() + "-made"
    monkeypatch.setenv("FOREBAY_QUEUE", f"kafka://{kafka.bootstrap}/{topic}?partitions=3")
    (made,), (there,) = (forebay("queue", "create", "--json").records for _ in range(2))
    assert made == {"topic": topic, "partitions": 3, "status": "made"}
    assert there == {"topic": topic, "partitions": 3, "status": "there"}
    kafka.drop([topic])


def test_where_there_is_none_it_names_the_queue_and_what_to_look_at(
    forebay: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOREBAY_QUEUE", "sqs://jobs?region=eu-central-1&endpoint=http://127.0.0.1:1")
    said = forebay("queue", "create")
    assert (said.code, said.one_line) == (Exit.FAILED, True)
    assert "queue 'jobs'" in said.err
    assert "check ?region=eu-central-1 and &endpoint=http://127.0.0.1:1" in said.err


def test_the_store_needs_none(forebay: Command) -> None:
    said = forebay("queue", "create")
    assert (said.code, said.one_line) == (Exit.FAILED, True)
    assert "`store`" in said.err
