"""How long a record takes, at a steady rate: from the producer to a reader of the input, and of the output."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import monotonic, time_ns
from uuid import uuid4

from confluent_kafka import Consumer, Message, Producer

from loadtest.bench.stream_records import values
from pipelines.stream.dead import Headers

SENT = "sent"
"""Header: epoch nanoseconds at the call of `produce`."""
_TICK_S = 0.001
_REST_S = 10.0


@dataclass
class Latency:
    """Milliseconds from `produce` to a reader, in the order of arrival."""

    input: list[float] = field(default_factory=list)
    output: list[float] = field(default_factory=list)

    @property
    def added(self) -> float:
        return statistics.median(self.output) - statistics.median(self.input)


def at(percent: int, times: Sequence[float]) -> float:
    return statistics.quantiles(times, n=100)[percent - 1]


class Steady:
    """Produces a record every so often and reads both topics; one thread, so that nothing waits for the other."""

    def __init__(self, bootstrap: str, input: str, output: str, per_second: int) -> None:
        self._topics = input, output
        self._per_second = per_second
        self._given = values()
        self._producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 0, "acks": "all"})
        self._consumer = Consumer(
            {"bootstrap.servers": bootstrap, "group.id": uuid4().hex, "auto.offset.reset": "earliest",
             "isolation.level": "read_committed", "enable.auto.commit": False, "fetch.wait.max.ms": 500}
        )  # fmt: skip
        self._consumer.subscribe([input, output])

    def measure(self, seconds: float, alive: Callable[[], bool]) -> Latency:
        """The first second is left out: then everybody knows everybody."""
        began, made, latency = monotonic(), 0, Latency()
        total = int(seconds * self._per_second)
        while len(latency.output) < total and alive():
            now = monotonic() - began
            while made < min(total, now * self._per_second):
                self._send(made)
                made += 1
            self._producer.poll(0)
            for message in self._consumer.consume(1000, _TICK_S):
                self._note(message, latency)
            if now > seconds + _REST_S:
                raise TimeoutError(f"{len(latency.output):,} of {total:,} answers came")
        self._consumer.close()
        return Latency(latency.input[self._per_second :], latency.output[self._per_second :])

    def warm_up(self, alive: Callable[[], bool]) -> None:
        """Until the first answer has come: whoever scores has its partitions now."""
        self._send(0)
        latency, end = Latency(), monotonic() + 6 * _REST_S
        while not latency.output:
            for message in self._consumer.consume(10, 0.1):
                self._note(message, latency)
            if monotonic() > end or not alive():
                raise TimeoutError("no answer came")

    def _send(self, number: int) -> None:
        place = number % len(self._given)
        headers: Headers = [(SENT, str(time_ns()).encode())]
        self._producer.produce(self._topics[0], self._given[place], str(place).encode(), headers=headers)
        self._producer.poll(0)

    def _note(self, message: Message, latency: Latency) -> None:
        headers = message.headers()
        if not headers:  # an error that passes
            return
        sent = dict(headers)[SENT]
        assert isinstance(sent, bytes)
        times = latency.input if message.topic() == self._topics[0] else latency.output
        times.append((time_ns() - int(sent)) / 1e6)
