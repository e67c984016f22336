"""librdkafka's options: ours below, the user's as they are."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import AdminClient
from msgspec import Struct

from pipelines.kafka.errors import one_line
from pipelines.kafka.faults import KafkaRefused

T = TypeVar("T")

Value = str | int | float | bool
Options = dict[str, Value]

_OURS: Options = {
    "client.id": "forebay",
    "socket.keepalive.enable": True,
    "reconnect.backoff.max.ms": 2_000,
    "log_level": 2,  # a broker that is away is told by error_cb; librdkafka would write twenty lines a second
}


class Kafka(Struct, frozen=True):
    """A cluster: where it is and how it is talked to."""

    bootstrap: str
    options: Mapping[str, Value] = {}
    """librdkafka's own, by their own names: SASL, TLS, tuning. They go before ours."""

    def with_options(self, ours: Mapping[str, Value]) -> Options:
        """`ours`, then the user's, but for what the guarantee stands on: see `fixed`."""
        return {**_OURS, **ours, **self.options, "bootstrap.servers": self.bootstrap}


def fixed(kafka: Kafka, names: Mapping[str, Value]) -> None:
    """Raises KafkaRefused when the user's options contradict what a guarantee stands on."""
    for name, wanted in names.items():
        given = kafka.options.get(name)
        if given is not None and str(given).lower() != str(wanted).lower():
            raise KafkaRefused(f"kafka: {name} = {given}: Forebay needs {wanted}; leave the option out")


def consumer(options: Options, **callbacks: Any) -> Consumer:
    """Raises KafkaRefused, one line, for an option that librdkafka does not know or take."""
    return _made(Consumer, {**options, **callbacks})


def producer(options: Options, **callbacks: Any) -> Producer:
    return _made(Producer, {**options, **callbacks})


def admin(kafka: Kafka, **callbacks: Any) -> AdminClient:
    return _made(AdminClient, {**kafka.with_options({}), **callbacks})


def _made(kind: Callable[[dict[str, Any]], T], options: Mapping[str, Any]) -> T:
    try:
        return kind(dict(options))
    except (KafkaException, TypeError, ValueError) as fault:
        raise KafkaRefused(f"kafka: {one_line(fault)}") from fault
