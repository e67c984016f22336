"""The Kafka harness itself: what it promises to the tests that lean on it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer

from tests.services import kafka_jars
from tests.services.broker import Broker
from tests.services.guard import running
from tests.services.kafka import Kafka, broker
from tests.services.kafka_jars import NoKafka
from tests.services.own_server import Failed
from tests.services.ports import steady_port
from tests.services.require import require

WITHIN = 30.0
STARTER = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell that runs tests in the background has it ignored
from tests.services.kafka import Kafka
kafka = Kafka.start()
print(kafka.pid, kafka.folder, flush=True)
signal.pause()
"""


@pytest.fixture(scope="module")
def own() -> Iterator[Kafka]:
    """A broker that the tests of this file may stop, and leave running for the next."""
    try:
        server = Kafka.start()
    except NoKafka as missing:
        require(str(missing))
    with server:
        yield server


def test_topics_are_fresh_and_have_the_partitions_and_settings_asked_for(own: Kafka) -> None:
    one, other = own.fresh_topic(partitions=3), own.fresh_topic(config={"max.message.bytes": "1000"})
    produce(own, one, [b"kept"])
    assert read(own, one, 1) == [b"kept"]
    assert read(own, other, 0) == []
    with pytest.raises(KafkaException, match="MSG_SIZE_TOO_LARGE"):
        produce(own, other, [b"x" * 5000])
    with Consumer(client(own, **{"group.id": "any"})) as consumer:
        assert len(consumer.list_topics(one, timeout=WITHIN).topics[one].partitions) == 3


def test_a_topic_nobody_made_is_not_made_by_its_use(own: Kafka) -> None:
    for _ in range(2):  # the second would see what the first had made
        asked = Producer(client(own)).list_topics("nobody-made-this", timeout=WITHIN)
        error = asked.topics["nobody-made-this"].error
        assert error is not None
        assert error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_read_committed_shows_whole_transactions_and_their_offsets(own: Kafka, protocol: str) -> None:
    source, target = own.fresh_topic(), own.fresh_topic()
    produce(own, source, [b"in"])
    with Consumer(client(own, **group(protocol))) as consumer:
        consumer.subscribe([source])
        message = polled(consumer)
        producer = Producer(client(own, **{"transactional.id": f"writes-{target}"}))
        producer.init_transactions(WITHIN)
        producer.begin_transaction()
        producer.produce(target, b"aborted")
        producer.flush(WITHIN)
        producer.abort_transaction(WITHIN)
        producer.begin_transaction()
        producer.produce(target, b"committed")
        position = consumer.position(consumer.assignment())
        producer.send_offsets_to_transaction(position, consumer.consumer_group_metadata(), WITHIN)
        producer.commit_transaction(WITHIN)
        assert message.value() == b"in"
        assert [kept.offset for kept in consumer.committed(consumer.assignment(), timeout=WITHIN)] == [1]
    assert read(own, target, 1) == [b"committed"]
    assert read(own, target, 2, isolation="read_uncommitted") == [b"aborted", b"committed"]


@pytest.mark.parametrize("mode", ["graceful", "kill"])
def test_data_and_port_outlive_a_stop(own: Kafka, mode: Any) -> None:
    topic, bootstrap, before = own.fresh_topic(), own.bootstrap, own.pid
    produce(own, topic, [b"kept"])
    own.stop(mode)
    own.stop(mode)  # nothing when it is stopped
    with pytest.raises(Failed, match="stopped"):
        _ = own.pid
    with pytest.raises(KafkaException):
        own.ping(timeout=0.5)
    own.restart()
    assert (own.bootstrap, own.pid == before) == (bootstrap, False)
    produce(own, topic, [b"more"])
    assert read(own, topic, 2) == [b"kept", b"more"]


def test_a_setting_the_broker_refuses_is_told_with_its_log(own: Kafka) -> None:
    with pytest.raises(Failed, match=r"log\.retention\.ms"):
        Kafka.start({"log.retention.ms": "soon"})


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.usefixtures("own")
def test_nothing_is_left_when_its_owner_is_killed(end: signal.Signals) -> None:
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert starter.stdout is not None
    try:
        pid, folder = starter.stdout.readline().split()
        assert running(Path(folder), "pid") == int(pid)
        if end is signal.SIGKILL:
            os.kill(int(pid), signal.SIGSTOP)  # a frozen one goes too
        starter.send_signal(end)
        starter.wait(WITHIN)
    finally:
        starter.kill()
        starter.wait()
        starter.stdout.close()
    deadline = time.monotonic() + WITHIN
    while os.path.exists(f"/proc/{pid}") or Path(folder).exists():
        assert time.monotonic() < deadline, f"{folder} or process {pid} is still there"
        time.sleep(0.05)


def test_a_running_broker_is_lent_and_keeps_only_what_was_its_own(own: Kafka, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = own.fresh_topic()
    monkeypatch.setenv(kafka_jars.RUNNING, own.bootstrap)
    with broker() as lent:
        assert not isinstance(lent, Kafka)
        ours = lent.fresh_topic()
    with Consumer(client(own, **{"group.id": "any"})) as consumer:
        left = consumer.list_topics(timeout=WITHIN).topics
    assert theirs in left
    assert ours not in left
    assert own.pid


def test_without_jars_and_maven_one_line_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(kafka_jars.CACHE, str(tmp_path / "cache"))
    monkeypatch.setenv("JAVA_HOME", str(program(tmp_path / "bin" / "java", "17.0.1").parents[1]))
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(NoKafka, match=r"^[^\n]*no Maven \(mvn\)[^\n]*FOREBAY_TEST_KAFKA=host:port$"):
        kafka_jars.find()


def test_an_old_java_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(program(tmp_path / "bin" / "java", "11.0.2").parents[1]))
    with pytest.raises(NoKafka, match=r"11\.0\.2.*expected Java 17 or later"):
        kafka_jars.find()


def test_a_fetch_that_fails_leaves_no_half_of_a_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(kafka_jars.CACHE, str(tmp_path / "cache"))
    maven = tmp_path / "bin" / "mvn"
    program(tmp_path / "bin" / "java", "17.0.1")
    maven.write_text("#!/bin/sh\necho '[ERROR] no network'\nexit 1\n")
    maven.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    with pytest.raises(NoKafka, match="no network"):
        kafka_jars.find()
    assert [path.name for path in (tmp_path / "cache").rglob("*") if path.name != f"kafka-{version()}"] == []


def test_a_port_stays_out_of_the_kernels_own_range() -> None:
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert steady_port() < first


def version() -> str:
    return kafka_jars.POM.read_text().partition("<kafka.version>")[2].partition("<")[0]


def program(path: Path, says: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\necho 'openjdk version \"{says}\"' >&2\n")
    path.chmod(0o755)
    return path


def client(server: Broker, **settings: Any) -> dict[str, Any]:
    return {"bootstrap.servers": server.bootstrap, "log_level": 0} | settings


def group(protocol: str) -> dict[str, Any]:
    return {
        "group.id": f"reads-{time.time_ns():x}",
        "group.protocol": protocol,
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
    }


def produce(server: Broker, topic: str, values: list[bytes]) -> None:
    """Raises KafkaException when one is not delivered."""
    failures: list[Any] = []
    producer = Producer(client(server, **{"message.timeout.ms": 20_000}))
    for value in values:
        producer.produce(topic, value, on_delivery=lambda error, _: failures.append(error) if error else None)
    assert producer.flush(WITHIN) == 0
    if failures:
        raise KafkaException(failures[0])


def polled(consumer: Consumer) -> Message:
    message = consumer.poll(WITHIN)
    assert message is not None, f"nothing within {WITHIN:g} s"
    assert message.error() is None, message.error()
    return message


def read(server: Broker, topic: str, count: int, isolation: str = "read_committed") -> list[bytes | None]:
    """`count` values from the beginning of every partition, and whatever comes within a second after."""
    settings = {"group.id": f"reads-{time.time_ns():x}", "auto.offset.reset": "earliest", "isolation.level": isolation}
    with Consumer(client(server, **settings)) as consumer:
        consumer.subscribe([topic])
        values = [polled(consumer).value() for _ in range(count)]
        while (more := consumer.poll(1.0)) is not None:
            values.append(more.value())
        return values
