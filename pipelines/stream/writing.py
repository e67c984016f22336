"""Producing: answers and dead letters as records, whatever kind of producer sends them."""

from collections.abc import Callable, Sequence

from confluent_kafka import Message, Producer
from msgspec import Struct

from pipelines.stream.dead import Buried, Headers, dead_headers, size_of, timestamp_of

ROOM_WAIT_S = 0.05


class Target(Struct, frozen=True):
    """Where answers and dead letters go, and what they say of the model."""

    output: str
    dead_letters: str
    model: str
    version: str
    largest_dead_letter: int | None = None
    """Bytes of value, key and headers that the topic of the dead letters takes."""

    @property
    def headers(self) -> Headers:
        return [("forebay.model", self.model.encode()), ("forebay.version", self.version.encode())]


class Writer:
    """Keeps key, timestamp and headers of each record. Raises KafkaException when the producer takes no more."""

    def __init__(
        self, target: Target, now: Callable[[], float], headers: Callable[[Sequence[Message]], Sequence[Headers]]
    ) -> None:
        """`headers`: of the answers to these records, ours not among them."""
        self.target = target
        self._headers = target.headers
        self._names = {name for name, _ in target.headers}
        self._now = now
        self._carried = headers

    def write(self, producer: Producer, messages: Sequence[Message], values: Sequence[bytes]) -> None:
        topic, produce = self.target.output, producer.produce
        rest = zip(messages, values, self._with_ours(self._carried(messages)), strict=True)
        for message, value, headers in rest:
            kind, at = message.timestamp()
            while True:
                try:
                    produce(topic, value, message.key(), timestamp=at if kind else 0, headers=headers)
                    break
                except BufferError:
                    producer.poll(ROOM_WAIT_S)

    def bury(self, producer: Producer, letters: Sequence[Buried]) -> None:
        failed_at = self._now()
        for letter in letters:
            headers = dead_headers(letter, self.target.model, self.target.version, failed_at)
            value = letter.message.value()
            if self._is_too_large(letter.message, headers):
                # Better known by its place than not at all: the partition must move on.
                headers = dead_headers(letter, self.target.model, self.target.version, failed_at, left_behind=True)
                value = None
            self._bury_one(producer, letter.message, value, headers)

    def _with_ours(self, carried: Sequence[Headers]) -> Sequence[Headers]:
        ours, names = self._headers, self._names
        if names.isdisjoint({name for given in carried for name, _ in given}):
            return [given + ours for given in carried]
        return [[pair for pair in given if pair[0] not in names] + ours for given in carried]

    def _is_too_large(self, message: Message, headers: Headers) -> bool:
        largest = self.target.largest_dead_letter
        return largest is not None and size_of(message, headers) > largest

    def _bury_one(self, producer: Producer, message: Message, value: bytes | None, headers: Headers) -> None:
        topic = self.target.dead_letters
        while True:
            try:
                producer.produce(topic, value, message.key(), timestamp=timestamp_of(message), headers=headers)
                return
            except BufferError:
                producer.poll(ROOM_WAIT_S)
