"""Job messages as records of Kafka: the key is the job's id, the value its envelope."""

from typing import Protocol, TypeAlias

from pipelines.ports import Message
from pipelines.queues import envelopes
from pipelines.queues.envelopes import Found, Origin

Headers: TypeAlias = "list[tuple[str, str | bytes | None]] | dict[str, str | bytes | None] | None"


class Record(Protocol):
    """As confluent-kafka hands it out, without an error."""

    def topic(self) -> str | None: ...
    def partition(self) -> int | None: ...
    def offset(self) -> int | None: ...
    def key(self) -> bytes | str | None: ...
    def value(self) -> bytes | str | None: ...
    def headers(self) -> Headers: ...


def encode(message: Message) -> tuple[bytes, bytes]:
    """Key and value. An input that is too large stays in its row."""
    return message.id.encode(), envelopes.encode(message)


def decode(record: Record) -> Found:
    """Raises nothing."""
    return envelopes.decode(_bytes(record.value()), lambda: _origin(record))


def _origin(record: Record) -> Origin:
    position = f"{record.partition()}@{record.offset()}"
    topic = record.topic() or ""
    return Origin(topic, position, f"{topic}-{position}", _bytes(record.key()), _headers(record))


def _headers(record: Record) -> tuple[tuple[str, bytes | None], ...]:
    try:
        found = record.headers() or ()
    except UnicodeError:  # a name that is no UTF-8: the client cannot show any of them
        return ()
    pairs = found.items() if isinstance(found, dict) else found
    return tuple((name, _bytes(value)) for name, value in pairs)


def _bytes(value: bytes | str | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value
