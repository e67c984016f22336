"""Scoring runs on a database: the statements of `pipelines.store.scoring_port.RunStore`."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from pipelines.store.cursors import encode_cursor
from pipelines.store.database import Database
from pipelines.store.dialect import Fields, pack
from pipelines.store.scoring_port import (
    EndedRun,
    Ending,
    Failed,
    Held,
    Released,
    RunAccepted,
    RunConflict,
    RunOutcome,
    Stopped,
    Succeeded,
    TooManyRuns,
)
from pipelines.store.selecting import selection
from schemas.jobs import JobFilter, Page, Timings
from schemas.scoring_runs import (
    MAX_DELIVERIES,
    Progress,
    RunReason,
    RunSubmission,
    RunView,
    ScoringClaim,
    decode_request,
    decode_summary,
    differing,
    encode,
)
from schemas.states import State

MAX_ERROR_CHARS = 4000
_CRASHED = (
    f"{MAX_DELIVERIES} attempts in a row ended without an answer and without a part done: "
    "see the worker's log, and the machine's for what was killed"
)

_COLUMNS = """j.seq, j.run_id, j.tenant, j.state, j.version, j.asked, j.rows_done, j.rows_total, j.parts_done, j.parts_total,
    j.rejected, j.cancel_asked, j.attempts, j.submitted_at, j.started_at, j.finished_at, j.reason, j.error, j.summary"""

_OPEN = "state IN ('queued', 'running')"

_INSERT = """
INSERT INTO scoring_runs (run_id, tenant, state, model, version, asked, visible_at, submitted_at)
VALUES (:run_id, :tenant, 'queued', :model, :version, :asked, {now}, {now})
ON CONFLICT DO NOTHING
"""
_COUNT = (
    f"SELECT count(*) FROM (SELECT 1 FROM scoring_runs WHERE tenant = :tenant AND {_OPEN} LIMIT :most) AS open_runs"
)
_STANDING = f"SELECT {_COLUMNS} FROM scoring_runs j WHERE j.tenant = :tenant AND j.run_id = :run_id {{for_update}}"

# `fence` and `attempts` go on; what was lost before is forgiven.
_AGAIN = """
UPDATE scoring_runs SET state = 'queued', visible_at = {now}, answered = fence, starts = 0, parts_most = 0, cancel_asked = 0,
    reason = NULL, error = NULL, summary = NULL, started_at = NULL, finished_at = NULL
WHERE seq = :seq AND state IN ('failed', 'canceled')
"""
_WITHDRAW = "UPDATE scoring_runs SET cancel_asked = 0 WHERE seq = :seq AND state = 'running'"

_ID: Fields = (("id", "text"),)
_READ = f"SELECT {_COLUMNS} FROM {{rows}} JOIN scoring_runs j ON j.tenant = :tenant AND j.run_id = v.id"
_LIST = f"SELECT {_COLUMNS} FROM scoring_runs j WHERE {{where}} ORDER BY j.seq DESC LIMIT :limit"

_CANCEL_NOW = """
UPDATE scoring_runs SET state = 'canceled', finished_at = {now}
WHERE tenant = :tenant AND run_id = :run_id AND (state = 'queued' OR state = 'running' AND visible_at <= {now})
"""
_ASK = """
UPDATE scoring_runs SET cancel_asked = 1 WHERE tenant = :tenant AND run_id = :run_id AND state = 'running'
"""

END_LOST = """
UPDATE scoring_runs SET finished_at = {now},
    state = CASE WHEN cancel_asked = 1 THEN 'canceled' ELSE 'failed' END,
    reason = CASE WHEN cancel_asked = 1 THEN NULL ELSE 'crashed' END,
    error = CASE WHEN cancel_asked = 1 THEN NULL ELSE :crashed END
WHERE seq IN (
    SELECT seq FROM scoring_runs
    WHERE state = 'running' AND visible_at <= {now} AND (cancel_asked = 1 OR starts >= :most)
    ORDER BY visible_at LIMIT 100 {skip_locked})
RETURNING run_id, model, version, state
"""
LOST_LIMITS: dict[str, Any] = {"most": MAX_DELIVERIES, "crashed": _CRASHED}
"""Values of `END_LOST`."""

PURGE = "DELETE FROM scoring_runs WHERE finished_at IS NOT NULL AND finished_at <= {now} - :retention"

_CLAIM = f"""
UPDATE scoring_runs SET state = 'running', fence = fence + 1, attempts = attempts + 1, starts = starts + 1,
    visible_at = {{now}} + :lease, started_at = COALESCE(started_at, {{now}})
WHERE seq = (
    SELECT seq FROM scoring_runs
    WHERE {_OPEN} AND visible_at <= {{now}} AND (state = 'queued' OR cancel_asked = 0 AND starts < :most)
      AND model IN (SELECT value FROM {{models}})
      AND NOT EXISTS (SELECT 1 FROM paused_models p WHERE p.model = scoring_runs.model)
    ORDER BY visible_at, seq LIMIT 1 {{skip_locked}})
RETURNING seq, fence, run_id, tenant, model, version, asked, attempts, fence - 1 - answered AS lost
"""

_MINE = "WHERE seq = :seq AND fence = :fence AND state = 'running'"
_PROGRESS = """rows_done = COALESCE(CAST(:rows AS bigint), rows_done), parts_done = COALESCE(CAST(:parts AS bigint), parts_done),
    rows_total = COALESCE(CAST(:rows_total AS bigint), rows_total),
    parts_total = COALESCE(CAST(:parts_total AS bigint), parts_total), rejected = COALESCE(CAST(:rejected AS bigint), rejected)"""

# A run that crashes and goes on gets to its crash again: what is held against `parts_most` is the best that it ever reached.
_BEAT = f"""
UPDATE scoring_runs SET visible_at = {{now}} + :lease, {_PROGRESS},
    starts = CASE WHEN CAST(:parts AS bigint) > parts_most THEN 0 ELSE starts END,
    parts_most = CASE WHEN CAST(:parts AS bigint) > parts_most THEN CAST(:parts AS bigint) ELSE parts_most END
{_MINE} RETURNING cancel_asked
"""
_FINISH = f"""
UPDATE scoring_runs SET state = :state, reason = :reason, error = :error, summary = :summary, answered = fence,
    cancel_asked = 0, finished_at = {{now}}, {_PROGRESS}
{_MINE} RETURNING state
"""
_HAND_BACK = f"""
UPDATE scoring_runs SET state = CASE WHEN cancel_asked = 1 THEN 'canceled' ELSE 'queued' END,
    finished_at = CASE WHEN cancel_asked = 1 THEN {{now}} ELSE NULL END, cancel_asked = 0, visible_at = {{now}} + :delay,
    answered = CASE WHEN :charged = 1 THEN fence ELSE answered + 1 END, attempts = attempts - 1 + :charged,
    starts = CASE WHEN :charged = 1 OR starts = 0 THEN 0 ELSE starts - 1 END, {_PROGRESS}
{_MINE} RETURNING state
"""


class ScoringRuns:
    """On the store's own database."""

    def __init__(self, db: Database) -> None:
        self._db = db

    # --- the asking side ---------------------------------------------------------------------------------------
    def submit(self, given: RunSubmission, most_open: int) -> RunOutcome:
        return self._db.write(lambda connection: self._submit(connection, given, most_open))

    def read(self, tenant: str, ids: Sequence[str]) -> dict[str, RunView]:
        if not ids:
            return {}
        rows = pack([(id,) for id in sorted(set(ids))])
        found = self._db.read(lambda connection: self._db.run(connection, _READ, _ID, rows=rows, tenant=tenant).all())
        return {row.run_id: _view(row) for row in found}

    def list_runs(self, tenant: str, wanted: JobFilter, limit: int, cursor: str | None = None) -> Page:
        where, values = selection(tenant, wanted, cursor)
        sql = _LIST.replace("{where}", where)
        found = self._db.read(lambda connection: self._db.run(connection, sql, limit=limit + 1, **values).all())
        more = encode_cursor(found[limit - 1].seq) if len(found) > limit else None
        return Page(items=[_view(row) for row in found[:limit]], cursor=more)

    def cancel(self, tenant: str, run_id: str) -> RunView | None:
        def work(connection: Connection) -> RunView | None:
            for template in (_CANCEL_NOW, _ASK):
                self._db.run(connection, template, tenant=tenant, run_id=run_id)
            found = self._db.run(connection, _READ, _ID, rows=pack([(run_id,)]), tenant=tenant).first()
            return None if found is None else _view(found)

        return self._db.write(work)

    # --- the working side --------------------------------------------------------------------------------------
    def claim(self, models: Sequence[str], lease: float) -> tuple[ScoringClaim | None, list[EndedRun]]:
        def work(connection: Connection) -> tuple[ScoringClaim | None, list[EndedRun]]:
            lost = self._db.run(connection, END_LOST, **LOST_LIMITS)
            ended = [EndedRun(row.run_id, row.model, row.version, State(row.state)) for row in lost]
            row = self._db.run(connection, _CLAIM, lease=lease, most=MAX_DELIVERIES, models=pack(models)).first()
            return None if row is None else _claim(row), ended

        return self._db.write(work)

    def beat(self, claim: ScoringClaim, lease: float, progress: Progress | None) -> Held:
        found = self._mine(_BEAT, claim, progress, lease=lease)
        if found is None:
            return Held.LOST
        return Held.CANCEL if found.cancel_asked else Held.OURS

    def end(self, claim: ScoringClaim, ending: Ending, progress: Progress | None) -> State | None:
        match ending:
            case Succeeded(summary):
                told = {"state": "succeeded", "reason": None, "error": None, "summary": encode(summary).decode()}
                found = self._mine(_FINISH, claim, progress, **told)
            case Failed(reason, error):
                told = {"state": "failed", "reason": str(reason), "error": error[:MAX_ERROR_CHARS], "summary": None}
                found = self._mine(_FINISH, claim, progress, **told)
            case Stopped():
                found = self._mine(_HAND_BACK, claim, progress, charged=1, delay=0.0)
            case Released(delay):
                found = self._mine(_HAND_BACK, claim, progress, charged=0, delay=delay)
        return None if found is None else State(found.state)

    def _mine(self, template: str, claim: ScoringClaim, progress: Progress | None, **values: Any) -> Any:
        values |= _values(progress) | {"seq": claim.seq, "fence": claim.fence}
        return self._db.write(lambda connection: self._db.run(connection, template, **values).first())

    # --- submitting --------------------------------------------------------------------------------------------
    def _submit(self, connection: Connection, given: RunSubmission, most_open: int) -> RunOutcome:
        row = self._standing(connection, given)
        if row is None:
            if too_many := self._too_many(connection, given, most_open):
                return too_many
            created = self._insert(connection, given)
            row = self._standing(connection, given)
            if created:
                return RunAccepted(_view(row), created=True)
        standing = _view(row)
        if differs := differing(standing.request, given.request):
            return RunConflict(standing, differs)
        if standing.state in (State.FAILED, State.CANCELED):
            if too_many := self._too_many(connection, given, most_open):
                return too_many
            self._db.run(connection, _AGAIN, seq=row.seq)
        elif standing.cancel_asked:
            self._db.run(connection, _WITHDRAW, seq=row.seq)
        return RunAccepted(_view(self._standing(connection, given)), created=False)

    def _standing(self, connection: Connection, given: RunSubmission) -> Any:
        return self._db.run(connection, _STANDING, tenant=given.tenant, run_id=given.run_id).first()

    def _insert(self, connection: Connection, given: RunSubmission) -> bool:
        asked = encode(given.request).decode()
        inserted = self._db.run(
            connection, _INSERT, run_id=given.run_id, tenant=given.tenant, model=given.request.model, version=given.version,
            asked=asked,
        )  # fmt: skip
        return int(inserted.rowcount) == 1

    def _too_many(self, connection: Connection, given: RunSubmission, most: int) -> TooManyRuns | None:
        count = int(self._db.run(connection, _COUNT, tenant=given.tenant, most=most).scalar_one())
        return TooManyRuns(count) if count >= most else None


def _values(progress: Progress | None) -> dict[str, int | None]:
    if progress is None:
        return dict.fromkeys(Progress.__struct_fields__)
    return {name: getattr(progress, name) for name in Progress.__struct_fields__}


def _claim(row: Any) -> ScoringClaim:
    return ScoringClaim(
        seq=row.seq,
        fence=row.fence,
        run_id=row.run_id,
        tenant=row.tenant,
        model=row.model,
        version=row.version,
        request=decode_request(row.asked),
        attempt=row.attempts,
        lost=row.lost,
    )


def _view(row: Any) -> RunView:
    return RunView(
        run_id=row.run_id,
        tenant=row.tenant,
        state=State(row.state),
        version=row.version,
        request=decode_request(row.asked),
        progress=Progress(row.rows_done, row.rows_total, row.parts_done, row.parts_total, row.rejected),
        cancel_asked=bool(row.cancel_asked) and row.state == State.RUNNING,
        attempts=row.attempts,
        timings=Timings(row.submitted_at, row.started_at, row.finished_at),
        reason=None if row.reason is None else RunReason(row.reason),
        error=row.error,
        summary=None if row.summary is None else decode_summary(row.summary),
    )
