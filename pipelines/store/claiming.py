"""Claim, start, extend: the working side's statements, each guarded by the fence (I5)."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection

from pipelines.ports import Message
from pipelines.store.database import Database
from pipelines.store.dialect import Fields, pack
from pipelines.store.guards import OPEN, RUNNING, guard
from pipelines.store.port import Refused
from schemas.jobs import PRIORITIES, Claim

MOST_MODELS_IN_SQLITE = 500 // len(PRIORITIES)
"""Lanes of one claim: a compound SELECT of SQLite has at most 500 parts. With more models, the queue lets them take turns."""

_DUE = "visible_at <= {now} AND (deadline_at IS NULL OR deadline_at > {now})"
_CLAIMABLE = f"state IN ('queued', 'running') AND {_DUE}"

_TAKE = """state = 'running', fence = fence + 1, visible_at = {now} + :lease, sends = 0"""

_RETURNING = """RETURNING jobs.seq, jobs.id, jobs.tenant, jobs.model, jobs.version, jobs.inputs, jobs.generation, jobs.fence,
    jobs.starts, jobs.failures, jobs.fence - 1 - jobs.answered AS lost, jobs.priority, jobs.deadline_at - {now} AS time_left,
    {now} - jobs.queued_at AS waited, jobs.traceparent, jobs.inputs_ref, jobs.size"""

# The first of what was picked is always taken, the others while their sizes fit.
_FITTING = """
    SELECT seq FROM (
        SELECT seq, size, row_number() OVER () AS place, sum(size) OVER (ROWS UNBOUNDED PRECEDING) AS total FROM picked
    ) AS sized WHERE place = 1 OR total <= :most_bytes
"""

# A lane is a model at a priority: each is one search of ix_jobs_visible, whatever the backlog. Lanes are written out,
# since SQLite has no LATERAL.
_SQLITE_LANE = f"""
    SELECT {{turn}} AS turn, seq, visible_at, size FROM (
        SELECT seq, visible_at, size FROM jobs INDEXED BY ix_jobs_visible
        WHERE model = :model_{{number}} AND priority = {{priority}} AND {_CLAIMABLE}
          AND NOT EXISTS (SELECT 1 FROM paused_models p WHERE p.model = :model_{{number}})
        ORDER BY visible_at, seq LIMIT :most)
"""

# Lanes are pulled lazily, in order; rows that another worker is claiming are stepped over.
_POSTGRES_CLAIM = f"""
WITH lanes AS MATERIALIZED (
    SELECT l.model, l.priority, l.turn
    FROM unnest(CAST(:lane_models AS text[]), CAST(:lane_priorities AS int[])) WITH ORDINALITY AS l(model, priority, turn)
    WHERE NOT EXISTS (SELECT 1 FROM paused_models p WHERE p.model = l.model) ORDER BY l.turn
), picked AS MATERIALIZED (
    SELECT j.seq, j.size FROM lanes, LATERAL (
        SELECT seq, size FROM jobs
        WHERE model = lanes.model AND priority = lanes.priority AND {_CLAIMABLE}
        ORDER BY visible_at, seq LIMIT :most FOR UPDATE SKIP LOCKED) AS j
    LIMIT :most
)
UPDATE jobs SET {_TAKE} FROM ({_FITTING}) AS fitting WHERE jobs.seq = fitting.seq {_RETURNING}
"""

# Our messages name a row by its id; two tenants' rows of one id are both due work, so both may be woken by it.
_NAMED: Fields = (("id", "text"),)
_CLAIM_NAMED = f"""
UPDATE jobs SET {_TAKE} FROM {{named}}
WHERE {{is_named:jobs}} AND {guard(f"{OPEN} AND {_DUE} AND jobs.model IN (SELECT value FROM {{models}})")}
  AND NOT EXISTS (SELECT 1 FROM paused_models p WHERE p.model = jobs.model) {_RETURNING}
"""

_STANDING = """
SELECT j.id, j.state, j.visible_at - {now} AS due_in, j.model IN (SELECT value FROM {models}) AS served,
       EXISTS (SELECT 1 FROM paused_models p WHERE p.model = j.model) AS paused
FROM {named} JOIN jobs j ON {is_named:j}
"""

_HELD: Fields = (("seq", "int"), ("fence", "int"), ("starts", "int"))
_MINE = f"jobs.seq = v.seq AND {guard(f'jobs.fence = v.fence AND {RUNNING}')}"

# `starts` is set, never incremented: a repeated start counts once.
_START = f"""
UPDATE jobs SET starts = v.starts + 1, started_fence = v.fence, started_at = {{now}} FROM {{rows}}
WHERE {_MINE} AND (jobs.started_fence = v.fence OR jobs.deadline_at IS NULL OR jobs.deadline_at > {{now}})
RETURNING jobs.seq
"""

_EXTEND = f"UPDATE jobs SET visible_at = {{now}} + :lease FROM {{rows}} WHERE {_MINE} RETURNING jobs.seq"


class Claiming:
    db: Database

    def claim_next(self, models: Sequence[str], most: int, lease: float, most_bytes: int = 1 << 62) -> list[Claim]:
        if not models or most <= 0:
            return []
        if self.db.dialect.name == "sqlite":
            models = models[:MOST_MODELS_IN_SQLITE]
            template = _sqlite_claim(len(models))
            values: dict[str, Any] = {f"model_{number}": model for number, model in enumerate(models)}
        else:
            template = _POSTGRES_CLAIM
            lanes = [(model, priority) for priority in reversed(PRIORITIES) for model in models]
            values = {"lane_models": [lane[0] for lane in lanes], "lane_priorities": [lane[1] for lane in lanes]}

        def work(connection: Connection) -> list[Claim]:
            rows = self.db.run(connection, template, most=most, lease=lease, most_bytes=most_bytes, **values)
            return _in_order(rows)

        return self.db.write(work)

    def claim(
        self, messages: Sequence[Message], models: Sequence[str], lease: float
    ) -> tuple[list[Claim], list[Refused]]:
        if not messages:
            return [], []
        rows = pack([(message.id,) for message in messages])
        served = pack(models)

        def work(connection: Connection) -> tuple[list[Claim], list[Refused]]:
            claims = _in_order(self.db.run(connection, _CLAIM_NAMED, _NAMED, rows=rows, lease=lease, models=served))
            refused = {message.id for message in messages} - {claim.id for claim in claims}
            if not refused:
                return claims, []
            asked = pack([(id,) for id in refused])
            standing = {row.id: row for row in self.db.run(connection, _STANDING, _NAMED, rows=asked, models=served)}
            return claims, [_refusal(id, standing.get(id)) for id in sorted(refused)]

        return self.db.write(work)

    def start(self, claims: Sequence[Claim]) -> list[int]:
        return self._held(_START, claims)

    def extend(self, claims: Sequence[Claim], lease: float) -> list[int]:
        return self._held(_EXTEND, claims, lease=lease)

    def _held(self, template: str, claims: Sequence[Claim], **values: Any) -> list[int]:
        if not claims:
            return []
        # In order of seq, as every batch statement here, so that two of them never lock rows crosswise.
        rows = pack(sorted((claim.seq, claim.fence, claim.starts) for claim in claims))
        return self.db.write(
            lambda connection: [row.seq for row in self.db.run(connection, template, _HELD, rows=rows, **values)]
        )


@lru_cache(maxsize=64)
def _sqlite_claim(models: int) -> str:
    lanes = [
        _SQLITE_LANE.replace("{turn}", str(turn)).replace("{number}", str(number)).replace("{priority}", str(priority))
        for turn, (priority, number) in enumerate(
            (priority, number) for priority in reversed(PRIORITIES) for number in range(models)
        )
    ]
    return f"""
    WITH picked AS MATERIALIZED (
        SELECT seq, size FROM ({" UNION ALL ".join(lanes)}) ORDER BY turn, visible_at, seq LIMIT :most)
    UPDATE jobs SET {_TAKE} WHERE seq IN ({_FITTING}) {_RETURNING}
    """


def _in_order(rows: Any) -> list[Claim]:
    """RETURNING promises no order."""
    claims = [Claim(*row) for row in rows]
    claims.sort(key=lambda claim: (-claim.priority, claim.seq))
    return claims


def _refusal(id: str, standing: Any) -> Refused:
    if standing is None or standing.state != "queued" or not standing.served or standing.paused:
        return Refused(id=id, over=True)
    return Refused(id=id, over=False, delay=max(0.0, standing.due_in))
