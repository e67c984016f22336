"""Sweeping: expire, purge, forget; one process at a time under a short database lease."""

import uuid
from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection

from pipelines.store.database import Database
from pipelines.store.dialect import Fields, pack
from pipelines.store.guards import UNSTAMPED
from pipelines.store.numbering import keep_from_use
from pipelines.store.port import Swept
from pipelines.store.scoring_runs import END_LOST, LOST_LIMITS
from pipelines.store.scoring_runs import PURGE as PURGE_SCORING_RUNS
from schemas.positions import ids_of_gone

CHUNK = 1000
"""Rows per round: a sweep is a short transaction that never stands in the way of claims."""
_LEASE_S = 30.0

# Never what is started under a live lease: it may be about to succeed.
_EXPIRE = """
UPDATE jobs SET state = 'expired', finished_at = {now} WHERE seq IN (
    SELECT seq FROM jobs
    WHERE deadline_at IS NOT NULL AND deadline_at <= {now} AND state IN ('queued', 'running')
      AND (state = 'queued' OR started_fence <> fence OR visible_at <= {now})
    ORDER BY deadline_at LIMIT :chunk {skip_locked})
RETURNING jobs.id
"""

_OLD = """
SELECT seq, id, tenant, origin, digest, inputs_ref, result_ref FROM jobs
WHERE state IN ('succeeded', 'failed', 'canceled', 'expired') AND finished_at IS NOT NULL AND finished_at <= {now} - :retention
LIMIT :chunk {skip_locked}
"""

_BURY_FIELDS: Fields = (("seq", "int"), ("id", "text"), ("tenant", "text"))
_BURY = (
    """INSERT INTO tombstones (id, tenant, purged_at) SELECT v.id, v.tenant, {now} FROM {rows} WHERE true
       ON CONFLICT DO NOTHING""",
    "DELETE FROM attempts WHERE seq IN (SELECT v.seq FROM {rows})",
    "DELETE FROM replays WHERE seq IN (SELECT v.seq FROM {rows})",
    "DELETE FROM jobs WHERE seq IN (SELECT v.seq FROM {rows})",
)

_KEPT = "SELECT inputs_before_ref AS ref FROM replays WHERE inputs_before_ref IS NOT NULL AND seq IN (SELECT v.seq FROM {rows})"

_FORGET = "DELETE FROM tombstones WHERE purged_at <= {now} - :tombstones"
_FORGET_STRAYS = "DELETE FROM strays WHERE seen_at <= {now} - :retention"

_TAKE_LEASE = """
INSERT INTO leases (name, holder, until) VALUES (:name, :holder, {now} + :lease)
ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
WHERE leases.until <= {now} OR leases.holder = excluded.holder
RETURNING holder
"""

_PAUSE = "INSERT INTO paused_models (model, paused_at) VALUES (:model, {now}) ON CONFLICT DO NOTHING"
_RESUME = "DELETE FROM paused_models WHERE model = :model"
# What was sent before was settled while the model was paused: a stamp of it, which may come late, counts no more.
_RESUME_ROWS = f"""
UPDATE jobs SET sent_at = NULL, held_until = {UNSTAMPED} WHERE model = :model AND state = 'queued'
"""


class Sweeping:
    db: Database
    broker: bool
    holder: str

    def sweep(self, retention: float, tombstones: float) -> Swept | None:
        if not self.take_lease("sweep", _LEASE_S):
            return None
        expired = self.db.write(lambda connection: self._expire(connection))
        purged, refs = self.db.write(lambda connection: self._purge(connection, retention))
        forgotten = self.db.write(lambda connection: self.db.run(connection, _FORGET, tombstones=tombstones).rowcount)
        return Swept(expired=expired, purged=purged, forgotten=forgotten, refs=refs)

    def take_lease(self, name: str, lease: float) -> bool:
        """Whether this process holds the named lease now; asking again extends it."""

        def work(connection: Connection) -> bool:
            taken = self.db.run(connection, _TAKE_LEASE, name=name, holder=self.holder, lease=lease)
            return taken.first() is not None

        return self.db.write(work)

    def pause(self, model: str, paused: bool) -> None:
        def work(connection: Connection) -> None:
            self.db.run(connection, _PAUSE if paused else _RESUME, model=model)
            if not paused:  # whoever resumes may know of no broker: an operator's command
                self.db.run(connection, _RESUME_ROWS, model=model)

        self.db.write(work)

    def paused(self) -> set[str]:
        sql = "SELECT model FROM paused_models"
        return self.db.read(lambda connection: {row.model for row in self.db.run(connection, sql)})

    def _expire(self, connection: Connection) -> list[str]:
        return [row.id for row in self.db.run(connection, _EXPIRE, chunk=CHUNK)]

    def _purge(self, connection: Connection, retention: float) -> tuple[int, list[str]]:
        old = self.db.run(connection, _OLD, retention=retention, chunk=CHUNK).all()
        refs = bury(self.db, connection, old)
        self.db.run(connection, _FORGET_STRAYS, retention=retention)
        self.db.run(connection, END_LOST, **LOST_LIMITS)  # also when no worker scores any more
        self.db.run(connection, PURGE_SCORING_RUNS, retention=retention)
        return len(old), refs


def bury(db: Database, connection: Connection, rows: Collection[Any]) -> list[str]:
    """Delete these jobs with their histories; a tombstone of each stays, for 410 and against late messages. Their payloads,
    which may be removed once this is committed."""
    if not rows:
        return []
    names = [(row, id) for row in rows for id in ids_of_gone(row.id, row.origin, bytes(row.digest))]
    packed = pack(sorted((row.seq, id, row.tenant) for row, id in names))
    refs = [ref for row in rows for ref in (row.inputs_ref, row.result_ref) if ref is not None]
    refs += [row.ref for row in db.run(connection, _KEPT, _BURY_FIELDS, rows=packed)]
    keep_from_use(db, connection, rows)
    for template in _BURY:
        db.run(connection, template, _BURY_FIELDS, rows=packed)
    return refs


def new_holder() -> str:
    return uuid.uuid4().hex
