"""What becomes of a letter."""

from msgspec import Struct

from pipelines.dead_topics.letter import Letter
from pipelines.stream.dead import Headers


class Outgoing(Struct, frozen=True):
    """A record to be produced."""

    topic: str
    partition: int
    """-1: as its key says."""
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp: int
    """Milliseconds; 0 is the time of sending."""


class Replayed(Struct, frozen=True):
    letter: Letter
    record: Outgoing


class Discarded(Struct, frozen=True):
    letter: Letter


class Left(Struct, frozen=True):
    """It stays a dead letter."""

    letter: Letter
    why: str | None = None
    """None: it was not meant."""


Verdict = Replayed | Discarded | Left
