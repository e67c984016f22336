"""Submissions become rows: many in one transaction, racing keys make one job."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from pipelines.store.database import Database
from pipelines.store.dialect import Fields, pack
from pipelines.store.numbering import SQLITE_NEXT
from schemas.jobs import Accepted, IdConflict, KeyConflict, RefConflict, Submission, SubmitOutcome
from schemas.states import State

_COLUMNS = (
    "id", "tenant", "model", "version", "priority", "inputs", "digest", "size",
    "idempotency_key", "webhook", "metadata", "traceparent", "origin", "inputs_ref",
)  # fmt: skip

_TIMES = """
    'queued', {now}, {now}, {now}, {now} + :expires_in, CASE WHEN :broker = 1 THEN NULL ELSE {now} END,
    CASE WHEN :hold > 0 THEN {now} + :hold ELSE 0 END
"""

# One statement run for each row: in SQLite that costs no round trip.
_SQLITE_INSERT = f"""
INSERT INTO jobs (seq, {", ".join(_COLUMNS)}, state, visible_at, submitted_at, queued_at, deadline_at, sent_at, held_until)
VALUES ({SQLITE_NEXT}, {", ".join(f":{name}" for name in _COLUMNS)}, {_TIMES})
ON CONFLICT DO NOTHING
"""

_POSTGRES_TYPES = {
    "priority": "int[]",
    "size": "int[]",
    "inputs": "bytea[]",
    "digest": "bytea[]",
    "metadata": "bytea[]",
}

# One statement for all rows: 21 times the rows per second of one each.
_POSTGRES_INSERT = f"""
INSERT INTO jobs ({", ".join(_COLUMNS)}, state, visible_at, submitted_at, queued_at, deadline_at, sent_at, held_until)
SELECT {", ".join(f"v.{name}" for name in _COLUMNS)}, {_TIMES.replace(":expires_in", "v.expires_in")}
FROM unnest({", ".join(f"CAST(:{name} AS {_POSTGRES_TYPES.get(name, 'text[]')})" for name in _COLUMNS)},
            CAST(:expires_in AS double precision[])) WITH ORDINALITY
     AS v({", ".join(_COLUMNS)}, expires_in, place)
ORDER BY v.place
ON CONFLICT DO NOTHING
"""

_FIND_FIELDS: Fields = (("id", "text"), ("tenant", "text"), ("idempotency_key", "text"), ("ref", "text"))

_FOUND = "SELECT j.id, j.tenant, j.idempotency_key, j.state, j.model, j.version, j.digest, j.inputs_ref"
_FIND = f"""
{_FOUND} FROM {{rows}} JOIN jobs j ON j.id = v.id AND j.tenant = v.tenant
UNION
{_FOUND} FROM {{rows}} JOIN jobs j ON j.tenant = v.tenant AND j.idempotency_key = v.idempotency_key
WHERE v.idempotency_key IS NOT NULL
UNION
{_FOUND} FROM {{rows}} JOIN jobs j ON j.inputs_ref = v.ref WHERE v.ref IS NOT NULL
"""

_KEY: Fields = (("idempotency_key", "text"),)
_KEYED = """
SELECT v.idempotency_key FROM {rows} JOIN jobs j ON j.tenant = :tenant AND j.idempotency_key = v.idempotency_key
"""


class Submitting:
    db: Database
    broker: bool
    """Whether a broker has to be told of each row; with the store as the queue, the row is the message."""
    hold: float
    """Seconds for which a new row is nobody else's to send: who submits it here sends it itself."""

    def submit(self, submissions: Sequence[Submission]) -> list[SubmitOutcome]:
        if not submissions:
            return []
        return self.db.write(lambda connection: self._submit(connection, submissions))

    def keyed(self, tenant: str, keys: Sequence[str]) -> set[str]:
        if not keys:
            return set()
        rows = pack([(key,) for key in sorted(set(keys))])
        return self.db.read(
            lambda connection: {
                row.idempotency_key for row in self.db.run(connection, _KEYED, _KEY, rows=rows, tenant=tenant)
            }
        )

    def _submit(self, connection: Connection, submissions: Sequence[Submission]) -> list[SubmitOutcome]:
        inserted = self._insert(connection, submissions)
        # An id of our own making meets no other, so that only keys, foreign ids and repeats have to be looked up.
        if inserted == len(submissions):
            return [_accepted(submission, created=True) for submission in submissions]
        return self._look_up(connection, submissions)

    def _insert(self, connection: Connection, submissions: Sequence[Submission]) -> int:
        rows = [_row(submission, self.broker, self.hold) for submission in submissions]
        if self.db.dialect.name == "sqlite":
            before = connection.connection.dbapi_connection.total_changes  # type: ignore[union-attr]  # sqlite3's own
            skewed = [{**row, "skew": self.db.skew} for row in rows]
            connection.execute(self.db.sql(_SQLITE_INSERT), skewed)
            after = connection.connection.dbapi_connection.total_changes  # type: ignore[union-attr]
            return int(after - before)
        columns: dict[str, Any] = {name: [row[name] for row in rows] for name in (*_COLUMNS, "expires_in")}
        result = self.db.run(connection, _POSTGRES_INSERT, broker=int(self.broker), hold=self.hold, **columns)
        return int(result.rowcount)

    def _look_up(self, connection: Connection, submissions: Sequence[Submission]) -> list[SubmitOutcome]:
        rows = pack([(s.id, s.tenant, s.idempotency_key, s.inputs_ref) for s in submissions])
        found = self.db.run(connection, _FIND, _FIND_FIELDS, rows=rows).all()
        by_id = {(row.tenant, row.id): row for row in found}
        by_key = {(row.tenant, row.idempotency_key): row for row in found if row.idempotency_key is not None}
        by_ref = {row.inputs_ref: row for row in found if row.inputs_ref is not None}
        seen: set[tuple[str, str]] = set()
        return [_outcome(submission, by_id, by_key, by_ref, seen) for submission in submissions]


def _row(submission: Submission, broker: bool, hold: float) -> dict[str, Any]:
    return {
        "id": submission.id,
        "tenant": submission.tenant,
        "model": submission.model,
        "version": submission.version,
        "priority": submission.priority,
        "inputs": submission.inputs,
        "digest": submission.digest,
        "size": submission.size,
        "idempotency_key": submission.idempotency_key,
        "webhook": submission.webhook,
        "metadata": submission.metadata,
        "traceparent": submission.traceparent,
        "origin": submission.origin,
        "inputs_ref": submission.inputs_ref,
        "expires_in": submission.expires_in,
        "broker": int(broker),
        "hold": hold,
    }


def _outcome(
    submission: Submission,
    by_id: dict[tuple[str, str], Any],
    by_key: dict[tuple[str, str], Any],
    by_ref: dict[str, Any],
    seen: set[tuple[str, str]],
) -> SubmitOutcome:
    """Whose row it is now. A repeated transaction (its commit's outcome was unknown) finds its own row: still ours."""
    key = submission.idempotency_key
    row = by_key.get((submission.tenant, key)) if key is not None else None
    if row is None:
        row = by_id.get((submission.tenant, submission.id))
    if row is None and submission.inputs_ref in by_ref:
        return RefConflict(id=by_ref[submission.inputs_ref].id)
    assert row is not None, "neither inserted nor in the way of it"
    if bytes(row.digest) != submission.digest:
        return IdConflict(id=row.id) if key is None or row.idempotency_key != key else KeyConflict(id=row.id)
    created = row.id == submission.id and (submission.tenant, row.id) not in seen
    seen.add((submission.tenant, row.id))
    return Accepted(id=row.id, state=State(row.state), model=row.model, version=row.version, created=created)


def _accepted(submission: Submission, created: bool) -> Accepted:
    return Accepted(
        id=submission.id, state=State.QUEUED, model=submission.model, version=submission.version, created=created
    )
