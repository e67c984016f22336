"""A dead letter: what failed, why, how often it was tried, and its input."""

from msgspec import Struct

from schemas.reasons import Reason


class Attempt(Struct, frozen=True):
    """One judged failure."""

    generation: int
    attempt: int
    at: float
    reason: Reason
    error: str


class DeadLetter(Struct, frozen=True):
    id: str
    tenant: str
    model: str
    version: str
    generation: int
    """Names what a replay applies to: a replay of an older generation does nothing (I7)."""
    reason: Reason
    error: str
    attempts: int
    failed_at: float
    submitted_at: float
    origin: str
    inputs: bytes
    """Empty when `inputs_ref` says where it is."""
    metadata: bytes | None = None
    history: tuple[Attempt, ...] = ()
    """Every judged failure, oldest first; filled by `show`."""
    replays: tuple["Replayed", ...] = ()
    """Lineage: every replay of this job, oldest first; filled by `show`."""
    inputs_ref: str | None = None
    """The payload that holds the input."""
    size: int = 0
    """Bytes of the input."""


class Replayed(Struct, frozen=True):
    """The audit of one replay."""

    generation: int
    """The generation that it made."""
    at: float
    by: str
    version_before: str
    version: str
    inputs_before: bytes | None = None
    """The input before a patch; None when it was not patched, or was too large for the row."""
    inputs_before_ref: str | None = None
    """The payload that holds it, until the job is purged."""


class DeadLetterFilter(Struct, frozen=True):
    """None selects all."""

    model: str | None = None
    version: str | None = None
    reason: Reason | None = None
    error: str | None = None
    """A substring of the error."""
    since: float | None = None
    """Failed at or after, epoch seconds."""
    until: float | None = None
    ids: tuple[str, ...] = ()


class Group(Struct, frozen=True):
    """Dead letters with the same model, version, reason and error."""

    model: str
    version: str
    reason: Reason
    error: str
    count: int
    first_at: float
    last_at: float
    example: str
    """The id of one of them."""


class Replay(Struct, frozen=True):
    """Run this dead letter again."""

    id: str
    generation: int
    """The generation that failed; with any other, nothing happens."""
    by: str = "operator"
    inputs: bytes | None = None
    """The patched input; None keeps it."""
    version: str | None = None
    """Another version of the model; None keeps it."""
    inputs_ref: str | None = None
    """The payload that holds the patched input; `inputs` is empty then."""
    referred: int = 0
    """Bytes of that payload."""
    model: str | None = None
    """Another model; None keeps it. `version` is of it then."""
    tenant: str | None = None
    """Whose: ids are each tenant's own. None: whoever has one of this id."""
