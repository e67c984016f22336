"""Verdicts become rows: one transaction, guarded by the fence, whatever they are."""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection

from pipelines.store.database import Database
from pipelines.store.dialect import Fields, pack
from pipelines.store.guards import RUNNING, guard
from schemas.jobs import Claim
from schemas.states import State
from schemas.verdicts import Dead, Done, Release, Retry, Verdict

MAX_ERROR_CHARS = 4000

_FIELDS: Fields = (
    ("seq", "int"),
    ("fence", "int"),
    ("state", "text"),
    ("result", "bytes"),
    ("reason", "text"),
    ("error", "text"),
    ("charged", "int"),
    ("starts", "int"),
    ("answered", "int"),
    ("delay", "float"),
    ("result_ref", "text"),
)

# A row that goes back is nobody's to send but the sweeper's: it was held for a message that has come since.
# `answered` counts the claims that came to a verdict: a judged one settles its whole row of claims (:answered = fence),
# a released one only itself (:answered = −1 here, one more than before).
_RECORD = f"""
UPDATE jobs SET
    state = v.state,
    result = v.result,
    result_ref = v.result_ref,
    reason = CASE WHEN v.state = 'failed' THEN v.reason END,
    error = CASE WHEN v.state = 'failed' THEN v.error END,
    failures = failures + v.charged,
    starts = v.starts,
    answered = CASE WHEN v.answered >= 0 THEN v.answered ELSE jobs.answered + 1 END,
    visible_at = CASE WHEN v.state = 'queued' THEN {{now}} + v.delay ELSE jobs.visible_at END,
    sent_at = CASE WHEN v.state = 'queued' AND :broker = 1 THEN NULL ELSE jobs.sent_at END,
    held_until = CASE WHEN v.state = 'queued' THEN 0 ELSE jobs.held_until END,
    finished_at = CASE WHEN v.state = 'queued' THEN NULL ELSE {{now}} END
FROM {{rows}}
WHERE jobs.seq = v.seq AND {guard(f"jobs.fence = v.fence AND {RUNNING}")}
RETURNING jobs.seq
"""

_ATTEMPT_FIELDS: Fields = (
    ("seq", "int"),
    ("generation", "int"),
    ("fence", "int"),
    ("attempt", "int"),
    ("reason", "text"),
    ("error", "text"),
)

# `WHERE true` tells SQLite's parser that ON belongs to the insert, not to a join.
_ATTEMPTS = """
INSERT INTO attempts (seq, generation, fence, attempt, at, reason, error)
SELECT v.seq, v.generation, v.fence, v.attempt, {now}, v.reason, v.error FROM {rows} WHERE true
ON CONFLICT DO NOTHING
"""


class Change(Struct, frozen=True, gc=False):
    """What a verdict does to its row."""

    state: State
    starts: int
    judged: bool
    charged: int = 0
    delay: float = 0.0
    result: bytes | None = None
    result_ref: str | None = None
    reason: str | None = None
    error: str | None = None


def change(claim: Claim, verdict: Verdict) -> Change:
    """The state table of a verdict (design.md, `record`)."""
    match verdict:
        case Done(result, None):
            return Change(State.SUCCEEDED, 0, True, result=result)
        case Done(_, ref):
            return Change(State.SUCCEEDED, 0, True, result_ref=ref)
        case Dead(reason, error, charged):
            return Change(
                State.FAILED, starts=claim.starts, judged=True, charged=int(charged), reason=reason, error=clean(error)
            )
        case Retry(reason, error, delay):
            return Change(
                State.QUEUED, starts=0, judged=True, charged=1, delay=delay, reason=reason, error=clean(error)
            )
        case Release(delay, suspect=True):
            return Change(State.QUEUED, starts=max(1, claim.starts), judged=True, delay=delay)
        case Release(delay):
            return Change(State.QUEUED, starts=claim.starts, judged=False, delay=delay)


def clean(error: str) -> str:
    """PostgreSQL's text holds no NUL, UTF-8 no lone surrogate, and an error is for reading."""
    return error.replace("\0", "␀").encode("utf-8", "replace").decode()[:MAX_ERROR_CHARS]


class Recording:
    db: Database
    broker: bool

    def record(self, verdicts: Sequence[tuple[Claim, Verdict]]) -> list[int]:
        if not verdicts:
            return []
        changes = sorted(((claim, change(claim, verdict)) for claim, verdict in verdicts), key=lambda pair: pair[0].seq)
        return self.db.write(lambda connection: self._record(connection, changes))

    def _record(self, connection: Connection, changes: Sequence[tuple[Claim, Change]]) -> list[int]:
        rows = pack([_row(claim, made) for claim, made in changes])
        recorded = [row.seq for row in self.db.run(connection, _RECORD, _FIELDS, rows=rows, broker=int(self.broker))]
        counted = set(recorded)
        charged = [(claim, made) for claim, made in changes if made.reason is not None and claim.seq in counted]
        if charged:
            self._keep_attempts(connection, charged)
        return recorded

    def _keep_attempts(self, connection: Connection, charged: Sequence[tuple[Claim, Change]]) -> None:
        rows = pack(
            [
                (claim.seq, claim.generation, claim.fence, claim.failures + made.charged, made.reason, made.error)
                for claim, made in charged
            ]
        )
        self.db.run(connection, _ATTEMPTS, _ATTEMPT_FIELDS, rows=rows)


def _row(claim: Claim, made: Change) -> tuple[Any, ...]:
    return (
        claim.seq,
        claim.fence,
        made.state,
        None if made.result is None else made.result.decode(),
        made.reason,
        made.error,
        made.charged,
        made.starts,
        claim.fence if made.judged else -1,
        made.delay,
        made.result_ref,
    )
