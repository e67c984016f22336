"""`make services`: the tests' PostgreSQL, Redis and Kafka, until Ctrl-C or SIGTERM."""

import signal
import sys
from contextlib import ExitStack

from tests.services import kafka, postgres, redis
from tests.services.installations import NoPostgres
from tests.services.kafka import Kafka
from tests.services.kafka_jars import NoKafka
from tests.services.postgres import Postgres
from tests.services.redis import NoRedis, Redis


def main() -> int:
    with ExitStack() as services:
        try:
            database = services.enter_context(Postgres.start())
        except (NoPostgres, postgres.Failed) as fault:
            sys.stderr.write(f"{fault}\n")
            return 1
        _say(f"FOREBAY_STORE={database.fresh_database()}\nFOREBAY_TEST_POSTGRES={database.url}\n")
        try:
            cache = services.enter_context(Redis.start())
            _say(f"FOREBAY_REDIS={cache.url}\nFOREBAY_TEST_REDIS={cache.url}\n")
        except (NoRedis, redis.Failed) as fault:
            sys.stderr.write(f"without Redis: {fault}\n")
        try:
            broker = services.enter_context(Kafka.start())
            _say(f"FOREBAY_KAFKA_BOOTSTRAP_SERVERS={broker.bootstrap}\nFOREBAY_TEST_KAFKA={broker.bootstrap}\n")
        except (NoKafka, kafka.Failed) as fault:
            sys.stderr.write(f"without Kafka: {fault}\n")
        signal.sigwait({signal.SIGINT, signal.SIGTERM})
    return 0


def _say(lines: str) -> None:
    sys.stdout.write(lines)
    sys.stdout.flush()


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    sys.exit(main())
