"""Where ElasticMQ is: running already, or as jars (jars.py).

`python -m tests.services.elasticmq_jars` fetches them ahead of time and prints their folder.
"""

import os
import sys
from pathlib import Path

from tests.services.jars import LOCAL, Jars, NoJars, Server

RUNNING = "FOREBAY_TEST_SQS"
"""Environment variable: the endpoint, `http://host:port`, of an SQS server that runs and that tests may make queues on."""
POM = LOCAL / "elasticmq" / "pom.xml"


class NoElasticMq(NoJars):
    """There is no ElasticMQ to start."""


ELASTICMQ = Server("ElasticMQ", 11, f"or name a running server in {RUNNING}=http://host:port", NoElasticMq)


def running() -> str | None:
    """The server that FOREBAY_TEST_SQS names."""
    return os.environ.get(RUNNING) or None


def find(pom: Path = POM) -> Jars:
    """Raises NoElasticMq."""
    return ELASTICMQ.find(pom)


if __name__ == "__main__":
    try:
        sys.stdout.write(f"{find().folder}\n")
    except NoElasticMq as missing:
        sys.exit(str(missing))
