"""The states of a job.

    queued → running → succeeded
       ↑       ├─────→ failed (dead-lettered: input, reason, attempts kept)
       └───────┴ retry, release, lease ended
    queued | running → canceled
    queued | running (claimed but not started, or its lease ended) → expired
    failed → queued (replay: generation + 1, audited)

Every terminal state absorbs; replay is the one way out of `failed`.
"""

from enum import StrEnum


class State(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    EXPIRED = "expired"


OPEN = frozenset({State.QUEUED, State.RUNNING})
TERMINAL = frozenset(State) - OPEN

MOVES: dict[State, frozenset[State]] = {
    State.QUEUED: frozenset({State.RUNNING, State.CANCELED, State.EXPIRED}),
    State.RUNNING: frozenset({State.RUNNING, State.QUEUED, *TERMINAL}),
    State.SUCCEEDED: frozenset(),
    State.FAILED: frozenset({State.QUEUED}),
    State.CANCELED: frozenset(),
    State.EXPIRED: frozenset(),
}
