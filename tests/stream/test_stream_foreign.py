"""Producers and consumers that are not ours: kcat, and a plain kafka-python client."""

import json
import shutil
import subprocess
import sys

import pytest

from tests.e2e import probe
from tests.e2e.processes import eventually
from tests.services.broker import Broker
from tests.stream.stage import stream_stage
from tests.stream.topics import read_all

FEED = """
import json, sys
from kafka import KafkaProducer
producer = KafkaProducer(bootstrap_servers=sys.argv[1], acks="all")
for n, value in enumerate(json.load(sys.stdin)):
    producer.send(sys.argv[2], value=value.encode(), key=b"k%d" % n, headers=[("trace", b"t%d" % n)])
producer.flush()
producer.close()
"""
READ = """
import json, sys
from kafka import KafkaConsumer
consumer = KafkaConsumer(sys.argv[2], bootstrap_servers=sys.argv[1], auto_offset_reset="earliest", group_id=None,
                         isolation_level="read_committed", consumer_timeout_ms=10_000)
found = []
for record in consumer:
    found.append([record.key.decode(), json.loads(record.value), dict(record.headers)["trace"].decode()])
    if len(found) == int(sys.argv[3]):
        break
consumer.close()
print(json.dumps(found))
"""


def test_kafka_python_feeds_and_reads(kafka: Broker) -> None:
    with stream_stage(kafka, partitions=2) as on:
        values = [json.dumps(probe.inputs(n)) if n != 13 else "not json" for n in range(100)]
        foreign(FEED, kafka.bootstrap, on.topic, given=json.dumps(values))
        assert on.start("--until-drained").wait(60) == 0
        found = json.loads(foreign(READ, kafka.bootstrap, on.output, "99"))
    expected = [[f"k{n}", {"y": [probe.f(n)]}, f"t{n}"] for n in range(100) if n != 13]
    assert sorted(found, key=str) == sorted(expected, key=str)


def foreign(program: str, *arguments: str, given: str = "") -> str:
    """A process that knows nothing of Forebay; its own warnings are its own."""
    command = [sys.executable, "-W", "ignore", "-c", program, *arguments]
    return subprocess.run(command, input=given, stdout=subprocess.PIPE, text=True, check=True, timeout=60).stdout


def test_kcat_feeds_and_reads(kafka: Broker) -> None:
    kcat = shutil.which("kcat")
    if kcat is None:
        pytest.skip("kcat is not installed (Debian's package kcat)")
    with stream_stage(kafka, partitions=1) as on:
        lines = "".join(f"k{n}:{json.dumps(probe.inputs(n))}\n" for n in range(20))
        subprocess.run(
            [kcat, "-P", "-b", kafka.bootstrap, "-t", on.topic, "-K:"], input=lines, text=True, check=True, timeout=30
        )
        worker = on.start().ready()
        eventually(lambda: on.progress.left() == 0, 30, every=0.1)
        assert worker.stop() == 0
        assert len(read_all(kafka, on.output)) == 20
        said = subprocess.run(
            [kcat, "-C", "-b", kafka.bootstrap, "-t", on.output, "-e", "-q", "-f", "%k %s\n"],
            capture_output=True, text=True, check=True, timeout=30,
        )  # fmt: skip
    assert said.stdout.splitlines() == [f'k{n} {{"y":[{probe.f(n)}]}}' for n in range(20)]
