"""Feeding and reading topics in tests, with plain clients that know nothing of Forebay."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition
from msgspec import Struct

from tests.e2e import probe
from tests.e2e.probe import Kind
from tests.services.broker import Broker

QUIET: dict[str, Any] = {"log_level": 0}
KEYS = 64
EPOCH_MS = int(time.time()) * 1000 - 3_600_000
"""Of record 0; recent, for a broker's retention goes by the records' own time."""


class Given(Struct, frozen=True):
    """What was put on the topic for one number."""

    n: int
    value: bytes | None

    @property
    def key(self) -> bytes:
        return b"k%d" % (self.n % KEYS)


class Found(Struct, frozen=True):
    """A record as a `read_committed` consumer sees it."""

    n: int
    key: bytes | None
    value: bytes | None
    headers: dict[str, bytes]
    timestamp: int
    partition: int
    offset: int


def good(n: int) -> Given:
    return Given(n, json.dumps(probe.inputs(n)).encode())


def bad(n: int, value: bytes | None) -> Given:
    return Given(n, value)


def of_kind(n: int, kind: Kind) -> Given:
    return Given(n, json.dumps(probe.inputs(n, kind)).encode())


@contextmanager
def producer(broker: Broker) -> Iterator[Callable[[str, Given], None]]:
    """Puts records on a topic; all of them are there when the block ends."""
    faults: list[str] = []
    client = Producer({"bootstrap.servers": broker.bootstrap, "enable.idempotence": True, **QUIET})

    def confirmed(error: object, _: Message) -> None:
        if error is not None:
            faults.append(str(error))

    def put(topic: str, given: Given) -> None:
        while True:
            try:
                client.produce(
                    topic, given.value, given.key, timestamp=EPOCH_MS + given.n,
                    headers=[("n", str(given.n).encode())], on_delivery=confirmed,
                )  # fmt: skip
                client.poll(0)
                return
            except BufferError:
                client.poll(0.1)

    yield put
    assert client.flush(60) == 0, "the test's own producer could not deliver"
    assert not faults, faults[:3]


def feed(broker: Broker, topic: str, records: Sequence[Given]) -> None:
    with producer(broker) as put:
        for given in records:
            put(topic, given)


@contextmanager
def feeding(broker: Broker, topic: str, records: Sequence[Given], per_second: float) -> Iterator[threading.Thread]:
    """The same at a pace, beside the block; all of them are there when it ends."""
    faults: list[BaseException] = []

    def run() -> None:
        try:
            with producer(broker) as put:
                began = time.monotonic()
                for number, given in enumerate(records):
                    ahead = number / per_second - (time.monotonic() - began)
                    if ahead > 0.01:
                        time.sleep(ahead)
                    put(topic, given)
        except BaseException as fault:  # noqa: BLE001  # told in the test's own thread
            faults.append(fault)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield thread
    finally:
        thread.join()
    assert not faults, faults


def read_all(broker: Broker, topic: str) -> list[Found]:
    """Everything committed on the topic, in order within each partition."""
    options = {
        "bootstrap.servers": broker.bootstrap, "group.id": "reader", "enable.auto.commit": False,
        "enable.partition.eof": True, "isolation.level": "read_committed", **QUIET,
    }  # fmt: skip
    client = Consumer(options)
    try:
        known = client.list_topics(topic, timeout=20).topics[topic]
        assert known.error is None, f"{topic}: {known.error}"
        partitions = known.partitions
        assert partitions, f"{topic} has no partitions"
        client.assign([TopicPartition(topic, number, 0) for number in partitions])
        found, ended = [], set()
        until = time.monotonic() + 60
        while len(ended) < len(partitions):
            assert time.monotonic() < until, f"{topic} cannot be read to its end"
            for message in client.consume(5000, 1.0):
                if message.error() is None:
                    found.append(_found(message))
                elif message.error().name() == "_PARTITION_EOF":  # type: ignore[union-attr]
                    ended.add(message.partition())
        return found
    finally:
        client.close()


class Progress:
    """How far a group is on a topic."""

    def __init__(self, broker: Broker, topic: str, group: str) -> None:
        self._topic = topic
        self.trouble = ""
        """Why the last look failed."""
        self._options: Any = {
            "bootstrap.servers": broker.bootstrap, "group.id": group, "enable.auto.commit": False, **QUIET,
        }  # fmt: skip
        self._client = Consumer(self._options)

    def committed(self) -> dict[int, int]:
        """Next offset by partition; empty while the broker is away."""
        try:
            numbers = self._client.list_topics(self._topic, timeout=5).topics[self._topic].partitions
            found = self._client.committed([TopicPartition(self._topic, number) for number in numbers], timeout=5)
        except KafkaException as fault:
            self._failed("committed", fault)
            return {}
        return {each.partition: max(0, each.offset) for each in found}

    def total(self) -> int:
        return sum(self.committed().values())

    def left(self) -> int:
        committed = self.committed()
        if not committed:
            return -1
        try:
            ends = [self._client.get_watermark_offsets(TopicPartition(self._topic, n), timeout=5)[1] for n in committed]
        except KafkaException as fault:
            self._failed("ends", fault)
            return -1
        return sum(ends) - sum(committed.values())

    def _failed(self, what: str, fault: KafkaException) -> None:
        """A client that is member of nothing may not look for its group's coordinator again for minutes: another is made."""
        self.trouble = f"{what}: {fault}"
        self._client.close()
        self._client = Consumer(self._options)

    def close(self) -> None:
        self._client.close()


def _found(message: Message) -> Found:
    headers = {name: value for name, value in message.headers() or [] if isinstance(value, bytes)}
    return Found(
        int(headers.get("n", b"-1")), message.key(), message.value(), headers, message.timestamp()[1],
        message.partition() or 0, message.offset() or 0,
    )  # fmt: skip
