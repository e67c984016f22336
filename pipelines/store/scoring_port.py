"""What the store does for scoring runs: rows with states, lease and fence, as jobs are, few and long.

    queued → running → succeeded | failed | canceled
       ↑       │
       └───────┴ release (drain), lease ended
    failed | canceled → queued: the same request, submitted again

Every method is one transaction and safe to call from any thread. Times are the database's clock. A method that raises
`StoreAway` may be called again: each is idempotent by fence or id.
"""

from collections.abc import Sequence
from enum import Enum, auto
from typing import Protocol

from msgspec import Struct

from schemas.jobs import JobFilter, Page
from schemas.scoring_runs import Progress, RunReason, RunSubmission, RunSummary, RunView, ScoringClaim
from schemas.states import State


class RunAccepted(Struct, frozen=True):
    """The row is committed."""

    view: RunView
    created: bool
    """False: the id was there already, with the same request."""


class RunConflict(Struct, frozen=True):
    """The id belongs to a run with another request (422)."""

    view: RunView
    differs: list[str]
    """Fields of the request."""


class TooManyRuns(Struct, frozen=True):
    """So many of this tenant are queued or running already (429)."""

    open: int


RunOutcome = RunAccepted | RunConflict | TooManyRuns


class Held(Enum):
    """What a heartbeat finds."""

    OURS = auto()
    CANCEL = auto()
    """Ours, and asked to stop."""
    LOST = auto()
    """Somebody else's by now, or over: nothing of ours counts any more."""


class Succeeded(Struct, frozen=True):
    summary: RunSummary


class Failed(Struct, frozen=True):
    reason: RunReason
    error: str
    """One line."""


class Stopped(Struct, frozen=True):
    """Because it was asked to. Canceled, or queued again when the cancellation was withdrawn meanwhile."""


class Released(Struct, frozen=True):
    """Back to `queued` with nothing charged; canceled when that was asked meanwhile."""

    delay: float = 0.0
    """Seconds until it may be claimed."""


Ending = Succeeded | Failed | Stopped | Released


class EndedRun(Struct, frozen=True):
    """A run whose lease ended and that nobody takes up again."""

    run_id: str
    model: str
    version: str
    state: State
    """Failed (crashed) or canceled."""


class RunStore(Protocol):
    # --- the asking side ---------------------------------------------------------------------------------------
    def submit(self, given: RunSubmission, most_open: int) -> RunOutcome:
        """A run id is unique for its tenant and stands for one request. The same again finds the run as it stands; one that
        failed or was canceled is queued again, with its fence and attempts going on, and one that was asked to stop is asked
        no more. `most_open`: runs of the tenant that may be queued or running."""
        ...

    def read(self, tenant: str, ids: Sequence[str]) -> dict[str, RunView]:
        """What there is of these ids of this tenant; unknown ids are missing."""
        ...

    def list_runs(self, tenant: str, wanted: JobFilter, limit: int, cursor: str | None = None) -> Page:
        """Newest first. `ValueError` on a malformed cursor."""
        ...

    def cancel(self, tenant: str, run_id: str) -> RunView | None:
        """What is queued, or running under a lease that ended, is canceled now; what is running is asked to stop."""
        ...

    # --- the working side --------------------------------------------------------------------------------------
    def claim(self, models: Sequence[str], lease: float) -> tuple[ScoringClaim | None, list[EndedRun]]:
        """One run that is due, of these models, none of them paused; the one that is due the longest. And those that ended
        instead: lost `MAX_DELIVERIES` times in a row without a part done, or lost and asked to stop."""
        ...

    def beat(self, claim: ScoringClaim, lease: float, progress: Progress | None) -> Held:
        """Heartbeat and progress at once. May revive a lapsed lease. `progress` None: as it was."""
        ...

    def end(self, claim: ScoringClaim, ending: Ending, progress: Progress | None) -> State | None:
        """Write how the claim ended; the state that the run is in then. None: it is no longer ours, and stays as it is."""
        ...
