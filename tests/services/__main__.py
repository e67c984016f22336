"""`make services`: the tests' PostgreSQL, Redis, Kafka, ElasticMQ and S3, until Ctrl-C or SIGTERM. What it prints are lines
for a shell's environment."""

import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

from tests.services import moto_server
from tests.services.buckets import fresh_bucket
from tests.services.elasticmq import ElasticMq
from tests.services.elasticmq_jars import NoElasticMq
from tests.services.installations import NoPostgres
from tests.services.kafka import Kafka
from tests.services.kafka_jars import NoKafka
from tests.services.own_server import Failed
from tests.services.postgres import Postgres
from tests.services.redis import NoRedis, Redis

MISSING = (NoPostgres, NoRedis, NoKafka, NoElasticMq, Failed)


@contextmanager
def _postgres() -> Iterator[Mapping[str, str]]:
    with Postgres.start() as server:
        yield {"FOREBAY_STORE": server.fresh_database(), "FOREBAY_TEST_POSTGRES": server.url}


@contextmanager
def _redis() -> Iterator[Mapping[str, str]]:
    with Redis.start() as server:
        yield {"FOREBAY_REDIS": server.url, "FOREBAY_TEST_REDIS": server.url}


@contextmanager
def _kafka() -> Iterator[Mapping[str, str]]:
    with Kafka.start() as broker:
        yield {"FOREBAY_KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap, "FOREBAY_TEST_KAFKA": broker.bootstrap}


@contextmanager
def _elasticmq() -> Iterator[Mapping[str, str]]:
    with ElasticMq.start() as server:
        queue = f"sqs://forebay?region=elasticmq&endpoint={server.endpoint}"
        yield {**moto_server.ACCESS, "FOREBAY_QUEUE": queue, "FOREBAY_TEST_SQS": server.endpoint}


@contextmanager
def _s3() -> Iterator[Mapping[str, str]]:
    os.environ.update(moto_server.ACCESS)  # for the bucket that is made here
    with moto_server.moto_server() as endpoint:
        yield {"FOREBAY_PAYLOADS": fresh_bucket(endpoint), "FOREBAY_TEST_S3": endpoint}


SERVICES = {
    "PostgreSQL": _postgres,
    "Redis": _redis,
    "Kafka": _kafka,
    "ElasticMQ": _elasticmq,
    "S3": _s3,
}


def main() -> int:
    started = 0
    with ExitStack() as services:
        for name, start in SERVICES.items():
            try:
                variables = services.enter_context(start())
            except MISSING as fault:
                sys.stderr.write(f"without {name}: {fault}\n")
                continue
            started += 1
            sys.stdout.write("".join(f"export {variable}='{value}'\n" for variable, value in variables.items()))
            sys.stdout.flush()
        if not started:
            return 1
        sys.stderr.write("These run until Ctrl-C; paste the lines above into the shells that use them.\n")
        signal.sigwait({signal.SIGINT, signal.SIGTERM})
    return 0


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    sys.exit(main())
