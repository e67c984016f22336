"""A Kafka that runs, and fresh topics on it."""

import itertools
import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import wait
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

VISIBLE_WITHIN = 15.0
"""Seconds from a topic's creation until every partition has a leader; also for its deletion."""
_POLL = 0.02


class Broker:
    """Somebody's running Kafka: it is used, and neither stopped nor changed beyond topics of our own."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        """`host:port`, or several, comma-separated: librdkafka's `bootstrap.servers`."""
        self._numbers = itertools.count(1)
        self._made: list[str] = []

    def fresh_topic(self, partitions: int = 1, config: Mapping[str, str] | None = None) -> str:
        """The name of a new, empty topic whose partitions all have a leader. Raises KafkaException or TimeoutError."""
        name = f"forebay-test-{os.getpid()}-{time.time_ns():x}-{next(self._numbers)}"
        self.create(name, partitions, config)
        return name

    def create(self, name: str, partitions: int = 1, config: Mapping[str, str] | None = None) -> None:
        """The same for a topic whose name is given: `T.dlq`. Raises KafkaException, TimeoutError."""
        topic = NewTopic(name, partitions, replication_factor=-1, config=dict(config or {}))  # -1: the broker's default
        admin = self._admin()  # named: the answer never comes once the client is collected
        admin.create_topics([topic])[name].result(VISIBLE_WITHIN)
        self._made.append(name)
        _await_leaders(admin, name, partitions)

    def drop(self, names: Sequence[str] | None = None) -> None:
        """Delete these topics, or all that were made here and are left. What is gone already is no fault."""
        doomed = list(self._made if names is None else names)
        if doomed:
            admin = self._admin()
            wait(admin.delete_topics(doomed).values(), VISIBLE_WITHIN)
        self._made = [name for name in self._made if name not in doomed]

    def ping(self, timeout: float = 5.0) -> None:
        """Raises KafkaException when nobody answers within `timeout` seconds."""
        self._admin().list_topics(timeout=timeout)

    def _admin(self) -> AdminClient:
        """A new one each time: one that is kept would write to standard error whenever a test stops the broker."""
        settings: dict[str, Any] = {"bootstrap.servers": self.bootstrap, "log_level": 0}
        return AdminClient(settings)


def _await_leaders(admin: AdminClient, name: str, partitions: int) -> None:
    """The controller said yes; the broker that clients ask learns of it a little later."""
    end = time.monotonic() + VISIBLE_WITHIN
    while not _led(admin, name, partitions):
        if time.monotonic() > end:
            raise TimeoutError(f"topic {name}: no leader for every partition within {VISIBLE_WITHIN:g} s")
        time.sleep(_POLL)


def _led(admin: AdminClient, name: str, partitions: int) -> bool:
    try:
        topic = admin.list_topics(name, timeout=VISIBLE_WITHIN).topics[name]
    except KafkaException:
        return False
    return len(topic.partitions) == partitions and all(
        part.error is None and part.leader >= 0 for part in topic.partitions.values()
    )
