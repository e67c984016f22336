"""Where Kafka is: running already, or as jars (jars.py).

`python -m tests.services.kafka_jars` fetches them ahead of time and prints their folder.
"""

import os
import sys
from pathlib import Path

from tests.services.jars import CACHE, LOCAL, Jars, NoJars, Server

__all__ = ["CACHE", "POM", "RUNNING", "KafkaJars", "NoKafka", "find", "running"]

RUNNING = "FOREBAY_TEST_KAFKA"
"""Environment variable: `host:port` of a Kafka that runs and that tests may make topics on."""
POM = LOCAL / "kafka" / "pom.xml"
KafkaJars = Jars


class NoKafka(NoJars):
    """There is no Kafka to start."""


KAFKA = Server("Kafka", java=17, instead=f"or name a running broker in {RUNNING}=host:port", missing=NoKafka)


def running() -> str | None:
    """The broker that FOREBAY_TEST_KAFKA names."""
    return os.environ.get(RUNNING) or None


def find(pom: Path = POM) -> Jars:
    """Raises NoKafka."""
    return KAFKA.find(pom)


if __name__ == "__main__":
    try:
        sys.stdout.write(f"{find().folder}\n")
    except NoKafka as missing:
        sys.exit(str(missing))
