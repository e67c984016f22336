"""What became of one delivery. Values, matched; never status strings.

`Done` and `Dead` end the job. `Retry` and `Release` put it back to `queued`.
"""

from typing import TypeAlias

from msgspec import Struct

from schemas.reasons import Reason


class Done(Struct, frozen=True, gc=False):
    """The model answered."""

    result: bytes
    """JSON object by output name; empty when `ref` says where it is."""
    ref: str | None = None
    """The payload that holds the result."""


class Retry(Struct, frozen=True, gc=False):
    """Judged a failure; one attempt is charged and the job runs again after `delay` seconds."""

    reason: Reason
    error: str
    delay: float


class Dead(Struct, frozen=True, gc=False):
    """Dead-lettered: input, reason, error and attempts are kept, replay is the way back."""

    reason: Reason
    error: str
    charged: bool = True
    """Whether this was a judged failure (counts as an attempt) or the end of a row of crashes (does not)."""


class Release(Struct, frozen=True, gc=False):
    """Given back unjudged: a drain, a paused model, an open breaker, a batch that failed alike. No attempt is charged."""

    delay: float = 0.0
    suspect: bool = False
    """It ran in a batch that failed alike: its next run is alone."""


Verdict: TypeAlias = Done | Retry | Dead | Release
