"""A scoring run as a service: as asked for, as claimed by a worker, as shown to a client."""

import re
from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from schemas.jobs import Timings
from schemas.scoring import Manifest
from schemas.states import State

RUN_ID = re.compile(r"(?!(?:current|lock)$)[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
"""It becomes part of file names; two are taken."""
MAX_DELIVERIES = 5
"""Claims in a row that ended without an answer, and without any part done: then the run is failed as crashed."""
STATES = (State.QUEUED, State.RUNNING, State.SUCCEEDED, State.FAILED, State.CANCELED)

_MAX_COLUMNS = 4096
RunId = Annotated[str, Meta(pattern=f"^{RUN_ID.pattern}$")]
Uri = Annotated[str, Meta(min_length=1, max_length=2048)]
Name = Annotated[str, Meta(min_length=1, max_length=255)]
Columns = Annotated[list[Name], Meta(min_length=1, max_length=_MAX_COLUMNS)]


class ScoringRequest(Struct, frozen=True):
    """What a client asked for. A run id stands for one of these for good."""

    model: str
    input: Uri
    output: Uri
    version: str | None = None
    """As asked for: a number, an alias, or None for the model's default."""
    where: Annotated[str, Meta(min_length=1, max_length=8192)] | None = None
    columns: Annotated[dict[Name, Columns], Meta(max_length=_MAX_COLUMNS)] = {}
    """Columns by model input, instead of those in model.yaml."""
    passthrough: Annotated[tuple[Name, ...], Meta(max_length=_MAX_COLUMNS)] = ()
    max_rejects: Annotated[float, Meta(ge=0, le=1)] = 0.01
    """Share of the rows; more, and nothing is published."""
    skip_corrupt: bool = False
    overwrite: bool = False


class ScoringSubmit(ScoringRequest, frozen=True, forbid_unknown_fields=True):
    """The body of POST /scoring_runs."""

    run_id: RunId | None = None
    """One is made when there is none."""

    def request(self) -> ScoringRequest:
        return ScoringRequest(**{name: getattr(self, name) for name in ScoringRequest.__struct_fields__})


class RunReason(StrEnum):
    """Why a run failed: what a scheduler decides by whether to try again."""

    BAD_INPUT = "bad_input"
    BAD_ORDER = "bad_order"
    INPUT_CHANGED = "input_changed"
    OTHER_RUN = "other_run"
    RUN_BUSY = "run_busy"
    LOCK_LOST = "lock_lost"
    TOO_MANY_REJECTS = "too_many_rejects"
    STORAGE_FAULT = "storage_fault"
    SCORE_FAULT = "score_fault"
    """Another fault that the run itself told of."""
    INTERNAL = "internal"
    """A bug, or something nobody thought of; the worker's log has the traceback."""
    CRASHED = "crashed"
    """Its worker died, as often as it may."""


class Progress(Struct, frozen=True):
    rows: int = 0
    """Read and done, those of earlier attempts included."""
    rows_total: int | None = None
    """None until the run is planned."""
    parts: int = 0
    """Committed, those of earlier attempts included."""
    parts_total: int | None = None
    rejected: int = 0


class RunSummary(Struct, frozen=True):
    """How a run ended that succeeded."""

    rows: int
    """Scored."""
    rejected: int
    parts: int
    seconds: float
    """Of all attempts together, at work."""
    manifest: str
    """Below the output."""
    skipped: int = 0
    """Files that could not be read, with skip_corrupt."""

    @classmethod
    def of(cls, manifest: Manifest, path: str) -> "RunSummary":
        """`path`: where the manifest is, below the output."""
        return cls(
            rows=manifest.rows,
            rejected=manifest.rejected,
            parts=len(manifest.parts),
            seconds=manifest.seconds,
            manifest=path,
            skipped=len(manifest.skipped),
        )


class RunSubmission(Struct, frozen=True):
    """One accepted request, validated, on its way to becoming a row."""

    run_id: str
    tenant: str
    version: str
    """A number: what the request's version stands for now."""
    request: ScoringRequest


class ScoringClaim(Struct, frozen=True):
    """A run under lease: what a worker needs to do it."""

    seq: int
    """The row's own number; every later statement names it together with `fence`."""
    fence: int
    """Rises at every claim; a write with an older fence changes nothing (I5)."""
    run_id: str
    tenant: str
    model: str
    version: str
    """A number."""
    request: ScoringRequest
    attempt: int
    lost: int
    """Claims lost in a row before this one: whoever had them may still be at it, and not know yet."""


class RunView(Struct, frozen=True):
    """A row as a client may see it."""

    run_id: str
    tenant: str
    state: State
    version: str
    request: ScoringRequest
    progress: Progress
    cancel_asked: bool
    """Running still, and asked to stop."""
    attempts: int
    timings: Timings
    reason: RunReason | None = None
    error: str | None = None
    summary: RunSummary | None = None


encode = msgspec.json.Encoder(order="deterministic").encode
decode_submit = msgspec.json.Decoder(ScoringSubmit).decode
decode_request = msgspec.json.Decoder(ScoringRequest).decode
decode_summary = msgspec.json.Decoder(RunSummary).decode


def differing(one: ScoringRequest, other: ScoringRequest) -> list[str]:
    """The fields in which they differ, in their order."""
    return [name for name in ScoringRequest.__struct_fields__ if getattr(one, name) != getattr(other, name)]
