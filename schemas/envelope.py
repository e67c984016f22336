"""What a queue message carries. The row is the truth; a message only wakes a worker."""

from msgspec import Raw, Struct

VERSION = 1
INLINE_BYTES = 64 * 1024
"""Inputs up to this size travel in the message; on a mismatch of digests the row's input runs."""
MOST_INLINE_BYTES = 248 * 1024
"""An SQS message has at most 256 KiB, its envelope and attributes included."""


class Envelope(Struct, frozen=True, omit_defaults=True):
    id: str
    generation: int
    v: int = VERSION
    digest: str | None = None
    """Hex sha256 of the input."""
    inputs: Raw = Raw()
    """Empty: the row has it."""
