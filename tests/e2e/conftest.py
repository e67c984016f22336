"""Each store in turn, and each queue."""

import pytest

from tests.e2e.stage import Ground


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest) -> str | None:
    """None: SQLite under the home that the test makes."""
    return None if request.param == "sqlite" else str(request.getfixturevalue("postgres_url"))


@pytest.fixture(params=["sqlite", "postgresql", "kafka", "sqs"])
def ground(request: pytest.FixtureRequest) -> Ground:
    """Each store as the queue, Kafka as the queue beside SQLite, and the production set-up: SQS, PostgreSQL, Redis."""
    if request.param == "sqs":
        server = request.getfixturevalue("elasticmq")
        store, redis = (str(request.getfixturevalue(name)) for name in ("postgres_url", "redis_url"))
        return Ground(store, server.address(server.fresh_queue()), redis)
    if request.param == "kafka":
        broker = request.getfixturevalue("kafka")
        return Ground(None, f"kafka://{broker.bootstrap}/{broker.fresh_topic(partitions=3)}")
    return Ground(None if request.param == "sqlite" else str(request.getfixturevalue("postgres_url")))
