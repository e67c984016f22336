"""`FOREBAY_QUEUE`: where a job queue on Kafka or SQS is."""

import pytest

from forebay.kafka_address import KafkaAddress
from forebay.settings import BadSettings, load, shown
from forebay.sqs_address import SqsAddress
from pipelines.sqs.names import Named


def test_brokers_topic_and_options() -> None:
    at = KafkaAddress.parse("kafka://a:9092,[::1]:9093/jobs-{pool}?group=g-{pool}&partitions=12")
    assert (at.bootstrap, at.partitions) == ("a:9092,[::1]:9093", 12)
    assert (at.topic_of("gpu"), at.group_of("gpu")) == ("jobs-gpu", "g-gpu")


def test_the_group_goes_by_the_topic() -> None:
    assert KafkaAddress.parse("kafka://a/jobs.{pool}").group_of("x") == "forebay.jobs.x"


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("kafka://a:9092", "expected kafka://"),
        ("kafka:///jobs", "brokers ''"),
        ("kafka://a:9092,/jobs", "brokers"),
        ("kafka://a:x/jobs", "brokers"),
        ("kafka://a:9092/jobs/more", "expected kafka://"),
        ("kafka://a:9092/jo bs", "topic 'jo bs'"),
        ("kafka://a:9092/", "topic ''"),
        ("kafka://a:9092/jobs?acks=1", "option 'acks'"),
        ("kafka://a:9092/jobs?partitions=0", "partitions '0'"),
        ("kafka://a:9092/jobs?tenant=a%20b", "tenant 'a b'"),
        ("kafka://user:hunter2@a:9092/jobs", "sasl.password"),
        ("sqs://", "queue ''"),
        ("sqs://jo bs", "queue 'jo bs'"),
        ("sqs://jobs/more", "expected sqs://queue"),
        ("sqs://jobs?acks=1", "option 'acks': expected region, endpoint, parallel, wait, tenant"),
        ("sqs://jobs?region=eu%20west", "region 'eu west'"),
        ("sqs://jobs?endpoint=ftp://a", "endpoint 'ftp://a'"),
        ("sqs://jobs?wait=21", "wait '21': expected a number from 0 to 20"),
        ("sqs://jobs?parallel=0", "parallel '0': expected a number from 1 to 32"),
        ("sqs://AKIA:hunter2@jobs", "no credentials here"),
        ("https://sqs.eu-west-1.amazonaws.com/123456789012/jobs?region=us-east-1", "the queue's URL says 'eu-west-1'"),
        (
            "http://127.0.0.1:9324/000000000000/forebay",
            "for this one say sqs://forebay?endpoint=http://127.0.0.1:9324&region=…",
        ),
        ("https://vpce-1.example/jobs", "for this one say sqs://jobs?endpoint=https://vpce-1.example&region=…"),
        ("http://ann:hunter2@a/0/jobs", "no credentials here"),
        ("amqp://a/jobs", "expected `store`, sqs://queue?region=… or kafka://"),
    ],
)
def test_a_mistake_is_one_line_without_secrets(url: str, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOREBAY_QUEUE", url)
    with pytest.raises(BadSettings) as bad:
        load()
    assert told in str(bad.value)
    assert "hunter2" not in str(bad.value)
    assert "\n" not in str(bad.value)


def test_it_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOREBAY_QUEUE", "kafka://a:9092/jobs")
    settings = load()
    assert shown(settings)["queue"] == "kafka://a:9092/jobs"
    assert settings.queue_at == KafkaAddress("a:9092", "jobs")


def test_the_tenant_of_its_direct_jobs_has_a_key_if_any_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOREBAY_QUEUE", "kafka://a:9092/jobs?tenant=team")
    at = load().queue_at
    assert at is not None
    assert at.tenant == "team"
    monkeypatch.setenv("FOREBAY_KEYS", '{"other": "a-long-random-key"}')
    with pytest.raises(BadSettings, match="queue: tenant 'team' has no key; there are keys of other"):
        load()


def test_a_queue_on_sqs() -> None:
    at = SqsAddress.parse(
        "sqs://jobs-{pool}.fifo?region=eu-central-1&endpoint=http://127.0.0.1:9324&parallel=8&wait=20"
    )
    assert (at.region, at.endpoint, at.parallel, at.wait) == ("eu-central-1", "http://127.0.0.1:9324", 8, 20)
    assert (at.queue_of("gpu"), at.fifo) == (Named("jobs-gpu.fifo"), True)
    assert at.queue_of("gpu").dead == Named("jobs-gpu-dlq.fifo")


@pytest.mark.parametrize(
    "url", ["sqs://123456789012/jobs?region=eu-west-1", "https://sqs.eu-west-1.amazonaws.com/123456789012/jobs"]
)
def test_a_queue_of_another_account(url: str) -> None:
    assert SqsAddress.parse(url) == SqsAddress("jobs", "123456789012", "eu-west-1")
