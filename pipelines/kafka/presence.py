"""Whether the brokers are there, by what librdkafka tells of its connections while a client is polled."""

from collections.abc import Callable
from typing import Any, Protocol

from confluent_kafka import KafkaError, KafkaException

from pipelines.kafka.errors import one_line

LOOK_EVERY_S = 2.0
LOOK_S = 1.0
"""Longest that one look waits for an answer."""
_GONE = (KafkaError._ALL_BROKERS_DOWN, KafkaError._AUTHENTICATION, KafkaError._SSL)


class Asked(Protocol):
    """A consumer or a producer."""

    def list_topics(self, topic: str, timeout: float) -> Any: ...


class Presence:
    """librdkafka tells of every attempt to connect, twenty times a second. Here it is told once that brokers went, with the
    cause, and once that they are back. Called by the thread that polls; `away` may be read by any."""

    def __init__(self, topic: str, monotonic: Callable[[], float], tell: Callable[[str], None]) -> None:
        """`topic`: asked for to see whether they answer again."""
        self._topic = topic
        self._monotonic = monotonic
        self._tell = tell
        self._look_at = 0.0
        self._cause = ""
        """Of the last attempt that failed."""
        self._gone = False

    @property
    def away(self) -> str | None:
        """One line while no broker answers."""
        return f"kafka: no broker answers: {self._cause}" if self._gone else None

    def error(self, error: KafkaError) -> None:
        """librdkafka's `error_cb`."""
        if error.code() != KafkaError._ALL_BROKERS_DOWN or not self._cause:
            self._cause = one_line(error)
        if error.code() not in _GONE or self._gone:
            return
        self._gone = True
        self._look_at = self._monotonic() + LOOK_EVERY_S
        self._tell(f"kafka: no broker answers: {self._cause}")

    def look(self, client: Asked) -> None:
        """While they are away, ask now and then whether they are back: nothing else would say so while there is no work."""
        if not self._gone or self._monotonic() < self._look_at:
            return
        try:
            client.list_topics(self._topic, timeout=LOOK_S)
        except KafkaException:
            self._look_at = self._monotonic() + LOOK_EVERY_S
            return
        self._gone, self._cause = False, ""
        self._tell("kafka: the brokers answer again")
