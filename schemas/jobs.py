"""A job: as submitted, as claimed by a worker, as shown to a client."""

import re
from typing import Any

from msgspec import Struct

from schemas.reasons import Reason
from schemas.states import State

PRIORITIES = range(10)
"""0 to 9; the higher runs first."""
DEFAULT_PRIORITY = 5
DEFAULT_TENANT = "default"
TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
MAX_ID_CHARS = 128
MAX_KEY_CHARS = 255
"""Longest Idempotency-Key (draft-ietf-httpapi-idempotency-key-header)."""


def check_tenant(name: str) -> str:
    """Raises ValueError, one line."""
    if not TENANT.fullmatch(name):
        raise ValueError(f"tenant {name!r}: expected letters, digits, '-', '_' or '.', at most 63")
    return name


def is_id(text: str) -> bool:
    """Whether a job may have this id. Direct producers choose their own: visible ASCII, 1 to 128 characters, no '/'."""
    return 1 <= len(text) <= MAX_ID_CHARS and text.isascii() and text.isprintable() and not {" ", "/"} & set(text)


class Submission(Struct, frozen=True):
    """One accepted request, validated, on its way to becoming a row."""

    id: str
    tenant: str
    model: str
    version: str
    inputs: bytes
    """JSON of `inputs` as sent; empty when `inputs_ref` says where it is."""
    digest: bytes
    """sha256 of the request as sent (model, version, inputs and options): what an idempotency key is bound to."""
    idempotency_key: str | None = None
    priority: int = DEFAULT_PRIORITY
    expires_in: float | None = None
    """Seconds from the commit until the job expires if it was not started."""
    webhook: str | None = None
    metadata: bytes | None = None
    """JSON object, returned as sent."""
    traceparent: str | None = None
    origin: str = "api"
    """Where it came from: `api`, or `<queue>:<message id>`, `<topic>-<partition>@<offset>` for direct producers."""
    inputs_ref: str | None = None
    """The payload that holds the input (pipelines/payloads). It is this job's alone."""
    referred: int = 0
    """Bytes of that payload."""

    @property
    def size(self) -> int:
        """Bytes of the input."""
        return self.referred or len(self.inputs)


class Accepted(Struct, frozen=True):
    """The row is committed. `created` is False when the idempotency key already had this job."""

    id: str
    state: State
    model: str
    version: str
    created: bool


class KeyConflict(Struct, frozen=True):
    """The idempotency key belongs to a job with another body (422)."""

    id: str


class IdConflict(Struct, frozen=True):
    """The id given belongs to another job of this tenant."""

    id: str


class RefConflict(Struct, frozen=True):
    """The payload named is another job's input (422)."""

    id: str


SubmitOutcome = Accepted | KeyConflict | IdConflict | RefConflict


class Claim(Struct, frozen=True):
    """A row under lease: what a worker needs to run it. Durations, by the database's clock: it is nobody else's."""

    seq: int
    """The row's own number; every later statement names it together with `fence`."""
    id: str
    tenant: str
    model: str
    version: str
    inputs: bytes
    generation: int
    fence: int
    """Rises at every claim; a write with an older fence changes nothing (I5)."""
    starts: int
    """Consecutive starts that were never answered, as of this claim."""
    failures: int
    """Judged failures so far in this generation."""
    lost: int
    """Claims lost in a row before this one: `fence − 1 − answered`."""
    priority: int = DEFAULT_PRIORITY
    time_left: float | None = None
    """Seconds from this claim to the job's deadline."""
    waited: float = 0.0
    """Seconds from the submit or replay to this claim."""
    traceparent: str | None = None
    inputs_ref: str | None = None
    """The payload that holds the input; `inputs` is empty until it was fetched."""
    size: int = 0
    """Bytes of the input, wherever it is."""

    @property
    def attempt(self) -> int:
        return self.failures + 1

    @property
    def suspect(self) -> bool:
        """Runs alone: it was started and not answered, or two claims in a row were lost."""
        return self.starts > 0 or self.lost >= 2


class Timings(Struct, frozen=True, omit_defaults=True):
    """Epoch seconds by the database's clock."""

    submitted_at: float
    started_at: float | None = None
    finished_at: float | None = None


class JobView(Struct, frozen=True):
    """A row as a client may see it."""

    id: str
    tenant: str
    state: State
    model: str
    version: str
    priority: int
    generation: int
    failures: int
    timings: Timings
    deadline_at: float | None = None
    result: bytes | None = None
    """JSON by output name; only when succeeded."""
    result_ref: str | None = None
    """The payload that holds the result, instead of `result`."""
    reason: Reason | None = None
    """Why it failed; only when failed."""
    error: str | None = None
    metadata: bytes | None = None
    origin: str = "api"

    @property
    def attempt(self) -> int:
        """`failures + 1` while a run may follow; the attempts made once it failed."""
        return max(1, self.failures) if self.state is State.FAILED else self.failures + 1


class Purged(Struct, frozen=True):
    """The row is gone by retention; its tombstone remembers that it was (410)."""

    id: str


class JobFilter(Struct, frozen=True):
    """What `GET /jobs`, `GET /scoring_runs` and `forebay jobs ls` select by; None selects all."""

    state: State | None = None
    model: str | None = None
    version: str | None = None
    since: float | None = None
    """Submitted at or after, epoch seconds."""
    until: float | None = None


class Page(Struct, frozen=True):
    """Newest first. `cursor` continues; None at the end."""

    items: list[Any]
    cursor: str | None = None
