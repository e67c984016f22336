"""Each store in turn, and each queue."""

import pytest

from tests.e2e.stage import Ground


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest) -> str | None:
    """None: SQLite under the home that the test makes."""
    return None if request.param == "sqlite" else str(request.getfixturevalue("postgres_url"))


@pytest.fixture(params=["sqlite", "postgresql", "kafka", "sqs"])
def ground(request: pytest.FixtureRequest) -> Ground:
    """Each store as the queue, Kafka as the queue beside SQLite, and SQS beside PostgreSQL."""
    if request.param == "sqs":
        server = request.getfixturevalue("elasticmq")
        return Ground(str(request.getfixturevalue("postgres_url")), server.address(server.fresh_queue()))
    if request.param == "kafka":
        broker = request.getfixturevalue("kafka")
        return Ground(None, f"kafka://{broker.bootstrap}/{broker.fresh_topic(partitions=3)}")
    return Ground(None if request.param == "sqlite" else str(request.getfixturevalue("postgres_url")))
