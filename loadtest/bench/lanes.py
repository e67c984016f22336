"""The API on each kind of queue: the same PostgreSQL, the same submits; what differs is who has to be told."""

import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import boto3
import psycopg
from msgspec import Struct

from loadtest.bench.cpu import cpu_of
from loadtest.bench.processes import python, serving
from tests.services.elasticmq import THROUGHPUT as QUEUE_JVM
from tests.services.elasticmq import ElasticMq
from tests.services.elasticmq_jars import NoElasticMq
from tests.services.kafka import Kafka
from tests.services.kafka_jars import NoKafka
from tests.services.kafka_settings import THROUGHPUT as BROKER_JVM
from tests.services.moto_server import ACCESS
from tests.services.postgres import Postgres

STORE, KAFKA, SQS = "store", "kafka", "sqs"
PARTIES = ("API", "PostgreSQL", "broker")
TOLD_WITHIN_S = 120.0


class Lane(Struct, frozen=True):
    port: int
    store: str
    """URL."""
    broker: bool
    pids: Mapping[str, int]
    """By party."""

    def cpu(self) -> dict[str, float]:
        """Seconds so far, by party; 0 for a broker that there is not."""
        return {party: cpu_of(self.pids[party]) if party in self.pids else 0.0 for party in PARTIES}

    def untold(self) -> int:
        """Rows that no broker has confirmed a message of."""
        with psycopg.connect(self.store) as connection:
            found = connection.execute("SELECT count(*) FROM jobs WHERE sent_at IS NULL").fetchone()
        return int(found[0]) if found else 0

    def await_told(self) -> float:
        """Seconds until every row has a confirmed message."""
        began = time.perf_counter()
        while self.untold():
            assert time.perf_counter() - began < TOLD_WITHIN_S, f"{self.untold()} rows were not sent"
            time.sleep(0.02)
        return time.perf_counter() - began


@contextmanager
def lanes(folder: Path, core: int) -> Iterator[dict[str, Lane]]:
    """By name; a broker that cannot be started is left out. Raises NoPostgres."""
    with ExitStack() as stack:
        postgres = stack.enter_context(Postgres.start())
        yield {
            name: stack.enter_context(_lane(postgres, queue, folder / name, core))
            for name, queue in _queues(stack).items()
        }


@contextmanager
def _lane(postgres: Postgres, queue: "Queue", home: Path, core: int) -> Iterator[Lane]:
    store = postgres.fresh_database()
    command = python("-m", "loadtest.bench.serve", "forebay", store, home, "0")
    with serving(command, core, env={"FOREBAY_QUEUE": queue.address, **ACCESS}) as api:
        pids = {"API": api.pid, "PostgreSQL": postgres.pid}
        yield Lane(
            api.port, store, queue.broker is not None, pids if queue.broker is None else pids | {"broker": queue.broker}
        )


class Queue(Struct, frozen=True):
    address: str
    broker: int | None = None
    """Its pid."""


def _queues(stack: ExitStack) -> Mapping[str, Queue]:
    found = {STORE: Queue(STORE)}
    try:
        kafka = stack.enter_context(Kafka.start(jvm=BROKER_JVM))
        found[KAFKA] = Queue(f"kafka://{kafka.bootstrap}/{kafka.fresh_topic(partitions=4)}", kafka.pid)
    except NoKafka as missing:
        sys.stdout.write(f"Kafka is not measured: {missing}\n")
    try:
        server = stack.enter_context(ElasticMq.start(QUEUE_JVM))
        address = (
            f"sqs://{_fresh_queue(server.endpoint)}?region={ACCESS['AWS_DEFAULT_REGION']}&endpoint={server.endpoint}"
        )
        found[SQS] = Queue(address, server.pid)
    except NoElasticMq as missing:
        sys.stdout.write(f"SQS is not measured: {missing}\n")
    return found


def _fresh_queue(endpoint: str) -> str:
    name = f"bench-{uuid.uuid4().hex[:12]}"
    client = boto3.client(
        "sqs", endpoint_url=endpoint, region_name=ACCESS["AWS_DEFAULT_REGION"],
        aws_access_key_id=ACCESS["AWS_ACCESS_KEY_ID"], aws_secret_access_key=ACCESS["AWS_SECRET_ACCESS_KEY"],
    )  # fmt: skip
    client.create_queue(QueueName=name)
    client.close()
    return name
