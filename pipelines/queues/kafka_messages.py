"""Job messages as records: the key is the job's id, the value an envelope in JSON. What is no envelope is a value too."""

import hashlib
from typing import Protocol, TypeAlias

import msgspec

from pipelines.ports import Message
from schemas.envelope import INLINE_BYTES, Envelope
from schemas.jobs import MAX_ID_CHARS
from schemas.strays import Stray

MOST_GENERATIONS = 1 << 31
_SHOWN = 200


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
    inputs = message.inputs
    if inputs is None or len(inputs) > INLINE_BYTES:
        envelope = Envelope(message.id, message.generation)
    else:
        digest = hashlib.sha256(inputs).hexdigest()
        envelope = Envelope(message.id, message.generation, digest=digest, inputs=msgspec.Raw(inputs))
    return message.id.encode(), _encoder.encode(envelope)


def decode(record: Record) -> Message | Stray:
    """An envelope of a later version wakes its row as well as ours. Raises nothing."""
    value = record.value()
    if not isinstance(value, bytes):
        return stray(record, "no value: expected an envelope")
    try:
        envelope = _decoder.decode(value)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as fault:
        return stray(record, f"no envelope: {fault}")
    if not (0 < len(envelope.id) <= MAX_ID_CHARS and envelope.id.isprintable()):
        return stray(record, f"id: expected 1 to {MAX_ID_CHARS} printable characters")
    if not 0 <= envelope.generation < MOST_GENERATIONS:
        return stray(record, f"generation: expected 0 to {MOST_GENERATIONS - 1}, got {envelope.generation}")
    return Message(envelope.id, envelope.generation, _inputs(envelope))


def stray(record: Record, error: str) -> Stray:
    return Stray(
        source=record.topic() or "",
        position=f"{record.partition()}@{record.offset()}",
        raw=_bytes(record.value()),
        error="".join(char if char.isprintable() else " " for char in error)[:_SHOWN],
        key=_bytes(record.key()),
        headers=_headers(record),
    )


def _headers(record: Record) -> tuple[tuple[str, bytes | None], ...]:
    try:
        found = record.headers() or ()
    except UnicodeError:  # a name that is no UTF-8: the client cannot show any of them
        return ()
    pairs = found.items() if isinstance(found, dict) else found
    return tuple((name, _bytes(value)) for name, value in pairs)


def _inputs(envelope: Envelope) -> bytes | None:
    """None on a mismatch: the row's input runs."""
    if envelope.digest is None or not (inputs := bytes(envelope.inputs)):
        return None
    return inputs if hashlib.sha256(inputs).hexdigest() == envelope.digest else None


def _bytes(value: bytes | str | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Envelope)
