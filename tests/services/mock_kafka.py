"""librdkafka's mock cluster: for tests that need neither transactions nor topics of a certain shape, where no Kafka runs."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from confluent_kafka import Producer

from tests.services.broker import Broker

PARTITIONS = 4
"""Of any topic of the mock cluster: made when it is first asked for."""


class MockBroker(Broker):
    """A cluster inside this process; any client may connect to it."""

    def create(self, name: str, partitions: int = 1, config: Mapping[str, str] | None = None) -> None:
        """With as many partitions as the mock cluster gives any topic. Raises KafkaException, TimeoutError."""
        admin, end = self._admin(), time.monotonic() + 10
        while not admin.list_topics(name, timeout=5).topics[name].partitions:
            if time.monotonic() > end:
                raise TimeoutError(f"topic {name}: the mock cluster does not make it")
            time.sleep(0.02)

    def drop(self, names: object = None) -> None:
        """They go with the cluster."""


@contextmanager
def mock_broker() -> Iterator[MockBroker]:
    owner = Producer({"bootstrap.servers": "none", "test.mock.num.brokers": 1, "log_level": 0})
    (broker,) = owner.list_topics(timeout=5).brokers.values()
    try:
        yield MockBroker(f"{broker.host}:{broker.port}")
    finally:
        owner.close()
