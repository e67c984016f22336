"""What travels on a broker: an envelope in JSON that names a row. What is none is a value too: a job that another service
put there itself, or a stray."""

import hashlib
from typing import Any, TypeAlias

import msgspec
from msgspec import Struct

from pipelines.admission.direct import Direct, direct_of
from pipelines.ports import Message
from schemas.envelope import INLINE_BYTES, Envelope
from schemas.jobs import MAX_ID_CHARS
from schemas.strays import Stray

MOST_GENERATIONS = 1 << 31
_SHOWN = 200

Found: TypeAlias = Message | Direct | Stray


class Incoming(Struct, frozen=True):
    """As it lay on the broker."""

    source: str
    """The topic or queue."""
    position: str
    """Within the source, once and for all: `<partition>@<offset>`, or the message's id."""
    value: bytes | None
    key: bytes | None = None
    headers: tuple[tuple[str, bytes | None], ...] = ()
    origin: str = ""
    """Both, as a job shows where it came from."""


def encode(message: Message) -> bytes:
    """An input that is too large stays in its row."""
    inputs = message.inputs
    if inputs is None or len(inputs) > INLINE_BYTES:
        envelope = Envelope(message.id, message.generation)
    else:
        digest = hashlib.sha256(inputs).hexdigest()
        envelope = Envelope(message.id, message.generation, digest=digest, inputs=msgspec.Raw(inputs))
    return _encoder.encode(envelope)


def decode(incoming: Incoming) -> Found:
    """An envelope of a later version wakes its row as well as ours. Raises nothing."""
    if incoming.value is None:
        return stray(incoming, "no value: expected an envelope, or a job: {model, inputs}")
    try:
        envelope = _decoder.decode(incoming.value)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as fault:
        return _foreign(incoming, f"no envelope: {fault}")
    if envelope.model is not None:
        return _foreign(incoming, "model: expected its name")
    if not (0 < len(envelope.id) <= MAX_ID_CHARS and envelope.id.isprintable()):
        return stray(incoming, f"id: expected 1 to {MAX_ID_CHARS} printable characters")
    if not 0 <= envelope.generation < MOST_GENERATIONS:
        return stray(incoming, f"generation: expected 0 to {MOST_GENERATIONS - 1}, got {envelope.generation}")
    return Message(envelope.id, envelope.generation, _inputs(envelope))


def stray(incoming: Incoming, error: str) -> Stray:
    return Stray(
        source=incoming.source,
        position=incoming.position,
        raw=incoming.value,
        error="".join(char if char.isprintable() else " " for char in error)[:_SHOWN],
        key=incoming.key,
        headers=incoming.headers,
    )


def _foreign(incoming: Incoming, error: str) -> Direct | Stray:
    """A job of a direct producer names its model; nothing of ours does."""
    as_it_came = stray(incoming, error)
    return direct_of(as_it_came, incoming.origin or f"{incoming.source}:{incoming.position}") or as_it_came


def _inputs(envelope: Envelope) -> bytes | None:
    """None on a mismatch: the row's input runs."""
    if envelope.digest is None or not (inputs := bytes(envelope.inputs)):
        return None
    return inputs if hashlib.sha256(inputs).hexdigest() == envelope.digest else None


class _Received(Envelope, frozen=True):
    model: Any = None
    """Never in an envelope."""


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(_Received)
