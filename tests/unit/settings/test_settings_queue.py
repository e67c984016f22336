"""`FOREBAY_QUEUE`: where a job queue on Kafka is."""

import pytest

from forebay.queue_address import KafkaAddress
from forebay.settings import BadSettings, load, shown


def test_brokers_topic_and_options() -> None:
    at = KafkaAddress.parse("kafka://a:9092,[::1]:9093/jobs-{pool}?group=g-{pool}&partitions=12")
    assert (at.bootstrap, at.partitions) == ("a:9092,[::1]:9093", 12)
    assert (at.topic_of("gpu"), at.group_of("gpu")) == ("jobs-gpu", "g-gpu")


def test_the_group_goes_by_the_topic() -> None:
    assert KafkaAddress.parse("kafka://a/jobs.{pool}").group_of("x") == "forebay.jobs.x"


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("kafka://a:9092", "expected `store` or kafka://"),
        ("kafka:///jobs", "brokers ''"),
        ("kafka://a:9092,/jobs", "brokers"),
        ("kafka://a:x/jobs", "brokers"),
        ("kafka://a:9092/jobs/more", "expected `store` or kafka://"),
        ("kafka://a:9092/jo bs", "topic 'jo bs'"),
        ("kafka://a:9092/", "topic ''"),
        ("kafka://a:9092/jobs?acks=1", "option 'acks'"),
        ("kafka://a:9092/jobs?partitions=0", "partitions '0'"),
        ("kafka://a:9092/jobs?tenant=a%20b", "tenant 'a b'"),
        ("kafka://user:hunter2@a:9092/jobs", "sasl.password"),
        ("amqp://a/jobs", "expected `store` or kafka://"),
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
    assert settings.queue_topic == KafkaAddress("a:9092", "jobs")


def test_the_tenant_of_its_direct_jobs_has_a_key_if_any_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOREBAY_QUEUE", "kafka://a:9092/jobs?tenant=team")
    at = load().queue_topic
    assert at is not None
    assert at.tenant == "team"
    monkeypatch.setenv("FOREBAY_KEYS", '{"other": "a-long-random-key"}')
    with pytest.raises(BadSettings, match="queue: tenant 'team' has no key; there are keys of other"):
        load()
