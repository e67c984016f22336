"""The sending side: an idempotent producer; what the brokers did not confirm in time is left to the sweeper."""

import threading
from collections.abc import Callable, Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from pipelines.kafka.errors import error_of, one_line
from pipelines.outage import Outage
from pipelines.ports import Message
from pipelines.queues.kafka_messages import encode

PATIENCE_S = 1.0
SEND = "send"
"""The kind of call, for readiness and log."""
_SLICE_S = 0.02
"""Another thread may have been handed our reports: look so often."""


class _Tally:
    """The delivery reports of one send. Reports come in on whatever thread polls; each sets its own place only."""

    def __init__(self, count: int) -> None:
        self.confirmed = [False] * count
        self.fault: KafkaError | None = None
        self._open = count
        self._lock = threading.Lock()

    def report(self, place: int, error: KafkaError | None) -> None:
        with self._lock:
            self._open -= 1
            self.confirmed[place] = error is None
            self.fault = error or self.fault

    def complete(self) -> bool:
        return self._open == 0


class KafkaOutlet:
    """Any thread may send. A broker that is away costs `patience` seconds, and the answer is False."""

    def __init__(
        self,
        make: Callable[[], Producer],
        topic_of: Callable[[str], str],
        monotonic: Callable[[], float],
        tell: Callable[[str], None],
        patience: float = PATIENCE_S,
    ) -> None:
        """`make`: a producer with `producer_options`, made anew after a fatal error. `topic_of`: where the jobs of a model
        go."""
        self._make = make
        self._topic_of = topic_of
        self._monotonic = monotonic
        self._outage = Outage("kafka", tell, monotonic)
        self._patience = patience
        self._producer = make()
        self._renewing = threading.Lock()

    def send(self, messages: Sequence[Message], delay: float = 0.0) -> list[bool]:
        """Kafka keeps no message back: with a delay nothing is sent, and the sweeper sends when the row is due."""
        if delay > 0:
            return [False] * len(messages)
        producer = self._producer
        tally = _Tally(len(messages))
        for place, message in enumerate(messages):
            self._produce(producer, tally, place, message)
        until = self._monotonic() + self._patience
        while not tally.complete() and self._monotonic() < until:
            producer.poll(_SLICE_S)
        self._note(producer, tally)
        return list(tally.confirmed)

    def answers(self) -> bool:
        try:
            self._producer.list_topics(timeout=self._patience)
        except KafkaException as fault:
            self._outage.complained(SEND, f"kafka: {one_line(error_of(fault))}")
            return False
        self._outage.answered(SEND)
        return True

    @property
    def away(self) -> str | None:
        """One line since something was not confirmed, until all of a send is."""
        return self._outage.away

    def lost(self) -> list[str]:
        """Not told: a topic that is made anew looks like one whose offsets begin again."""
        return []

    def close(self) -> None:
        """What is on its way gets a moment."""
        if self._producer.flush(self._patience) == 0:
            self._producer.close()

    def _produce(self, producer: Producer, tally: _Tally, place: int, message: Message) -> None:
        def reported(error: KafkaError | None, _: Any) -> None:
            tally.report(place, error)

        key, value = encode(message)
        try:
            producer.produce(self._topic_of(message.model), value, key, on_delivery=reported)
        except BufferError:
            tally.report(place, KafkaError(KafkaError._QUEUE_FULL))
        except KafkaException as fault:
            tally.report(place, error_of(fault))

    def _note(self, producer: Producer, tally: _Tally) -> None:
        error = tally.fault
        if error is None:
            if tally.complete():
                self._outage.answered(SEND)
            else:
                self._outage.complained(SEND, f"kafka: not sent: no answer within {self._patience:g} s")
            return
        self._outage.complained(SEND, f"kafka: not sent: {one_line(error)}")
        if error.fatal() or error.code() == KafkaError._FATAL:
            with self._renewing:
                if self._producer is producer:
                    self._producer = self._make()
