"""What travels on a broker: an envelope in JSON that names a row. What is none is a value too: a job that another service
put there itself, or a stray."""

import hashlib
from collections.abc import Callable
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
"""What a broker's message turned out to be."""


class Origin(Struct, frozen=True):
    """Where a message was found, and what came beside its body. Asked for only when that matters."""

    source: str
    """The topic or queue."""
    position: str
    """Within the source: it names the message however often it is delivered."""
    place: str
    """Both, as a job shows where it came from."""
    key: bytes | None = None
    headers: tuple[tuple[str, bytes | None], ...] = ()


def encode(message: Message, most: int = INLINE_BYTES) -> bytes:
    """The body. An input of more than `most` bytes stays in its row, and one that was put elsewhere stays there."""
    inputs = message.inputs
    if not inputs or len(inputs) > most:
        return _encoder.encode(Envelope(message.id, message.generation))
    digest = hashlib.sha256(inputs).hexdigest()
    return _encoder.encode(Envelope(message.id, message.generation, digest=digest, inputs=msgspec.Raw(inputs)))


def decode(body: bytes | None, origin: Callable[[], Origin]) -> Found:
    """An envelope of a later version wakes its row as well as ours. Raises nothing."""
    if body is None:
        return stray(body, origin(), "no value: expected an envelope, or a job: {model, inputs}")
    try:
        envelope = _decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as fault:
        return _foreign(body, origin(), f"no envelope: {fault}")
    if envelope.model is not None:
        return _foreign(body, origin(), "model: expected its name")
    if not (0 < len(envelope.id) <= MAX_ID_CHARS and envelope.id.isprintable()):
        return stray(body, origin(), f"id: expected 1 to {MAX_ID_CHARS} printable characters")
    if not 0 <= envelope.generation < MOST_GENERATIONS:
        told = f"generation: expected 0 to {MOST_GENERATIONS - 1}, got {envelope.generation}"
        return stray(body, origin(), told)
    return Message(envelope.id, envelope.generation, _inputs(envelope))


def stray(body: bytes | None, origin: Origin, error: str) -> Stray:
    return Stray(
        source=origin.source,
        position=origin.position,
        raw=body,
        error="".join(char if char.isprintable() else " " for char in error)[:_SHOWN],
        key=origin.key,
        headers=origin.headers,
    )


def _foreign(body: bytes, origin: Origin, error: str) -> Direct | Stray:
    """A job of a direct producer names its model; nothing of ours does."""
    as_it_came = stray(body, origin, error)
    return direct_of(as_it_came, origin.place) or as_it_came


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
