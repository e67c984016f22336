"""A stray: a message on a job queue that names no job. It is kept as it came, under the position where it was found."""

from msgspec import Struct


class Stray(Struct, frozen=True):
    source: str
    """The topic or queue."""
    position: str
    """Within the source: `<partition>@<offset>`, or the message's id. Kept once, however often it is delivered."""
    raw: bytes | None
    """The value, byte for byte; None for a record without one."""
    error: str
    """One line: why it is no job."""
    key: bytes | None = None
    headers: tuple[tuple[str, bytes | None], ...] = ()
    seen_at: float = 0.0
    """Epoch seconds by the database's clock; set by the store."""
