"""Looking: jobs by id, newest jobs, the backlog; and canceling, which answers with what it sees."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from pipelines.store.cursors import encode_cursor
from pipelines.store.database import Database
from pipelines.store.dialect import Fields, pack
from pipelines.store.guards import OPEN, guard
from pipelines.store.port import Counts
from pipelines.store.selecting import selection
from schemas.jobs import JobFilter, JobView, Page, Purged, Timings
from schemas.reasons import Reason
from schemas.states import State

_COLUMNS = """j.seq, j.id, j.tenant, j.state, j.model, j.version, j.priority, j.generation, j.failures, j.submitted_at,
    j.started_at, j.finished_at, j.deadline_at, j.result_ref, j.reason, j.error, j.metadata, j.origin"""

_ID: Fields = (("id", "text"),)

_READ = f"""
SELECT {_COLUMNS}, j.result FROM {{named}} JOIN jobs j ON {{is_named:j}}
WHERE CAST(:tenant AS text) IS NULL OR j.tenant = :tenant
"""

_BURIED = """
SELECT t.id FROM {rows} JOIN tombstones t ON t.id = v.id WHERE CAST(:tenant AS text) IS NULL OR t.tenant = :tenant
"""

_LIST = f"SELECT {_COLUMNS}, NULL AS result FROM jobs j WHERE {{where}} ORDER BY j.seq DESC LIMIT :limit"

_OPEN = "state IN ('queued', 'running')"
"""Word for word the condition of the partial index, so that finished rows cost nothing."""

_COUNTS = """
SELECT model, version, state, count(*) AS count, min(submitted_at) AS oldest_at FROM jobs WHERE {where}
GROUP BY model, version, state
"""

_BACKLOG = f"SELECT count(*) AS count FROM (SELECT 1 FROM jobs WHERE {_OPEN} LIMIT :most) AS open_rows"

_CANCEL = f"""
UPDATE jobs SET state = 'canceled', finished_at = {{now}} FROM {{named}}
WHERE {{is_named:jobs}} AND {guard(f"{OPEN} AND (CAST(:tenant AS text) IS NULL OR jobs.tenant = :tenant)")}
"""


class Reading:
    db: Database

    def read(self, tenant: str | None, ids: Sequence[str]) -> dict[str, JobView | Purged]:
        if not ids:
            return {}
        return self.db.read(lambda connection: self._read(connection, tenant, ids))

    def purged(self, tenant: str | None, ids: Sequence[str]) -> set[str]:
        if not ids:
            return set()
        return self.db.read(lambda connection: {row.id for row in self._over_ids(connection, _BURIED, tenant, ids)})

    def cancel(self, tenant: str | None, ids: Sequence[str]) -> dict[str, JobView | Purged]:
        if not ids:
            return {}

        def work(connection: Connection) -> dict[str, JobView | Purged]:
            self._over_ids(connection, _CANCEL, tenant, ids)
            return self._read(connection, tenant, ids)

        return self.db.write(work)

    def list_jobs(self, tenant: str | None, wanted: JobFilter, limit: int, cursor: str | None = None) -> Page:
        where, values = selection(tenant, wanted, cursor)
        sql = _LIST.replace("{where}", where)
        found = self.db.read(lambda connection: self.db.run(connection, sql, limit=limit + 1, **values).all())
        more = encode_cursor(found[limit - 1].seq) if len(found) > limit else None
        return Page(items=[_view(row) for row in found[:limit]], cursor=more)

    def counts(self, open_only: bool = False) -> list[Counts]:
        sql = _COUNTS.replace("{where}", _OPEN if open_only else "1 = 1")
        found = self.db.read(lambda connection: self.db.run(connection, sql).all())
        return [Counts(row.model, row.version, State(row.state), row.count, row.oldest_at) for row in found]

    def backlog(self, most: int) -> int:
        return int(self.db.read(lambda connection: self.db.run(connection, _BACKLOG, most=most).scalar_one()))

    def now(self) -> float:
        return float(self.db.read(lambda connection: self.db.run(connection, "SELECT {now} AS now").scalar_one()))

    def _read(self, connection: Connection, tenant: str | None, ids: Sequence[str]) -> dict[str, JobView | Purged]:
        found: dict[str, JobView | Purged] = {
            row.id: _view(row) for row in self._over_ids(connection, _READ, tenant, ids)
        }
        missing = [id for id in ids if id not in found]
        if missing:
            for row in self._over_ids(connection, _BURIED, tenant, missing):
                found[row.id] = Purged(id=row.id)
        return found

    def _over_ids(self, connection: Connection, template: str, tenant: str | None, ids: Sequence[str]) -> Any:
        rows = pack([(id,) for id in sorted(set(ids))])
        return self.db.run(connection, template, _ID, rows=rows, tenant=tenant)


def _view(row: Any) -> JobView:
    return JobView(
        id=row.id,
        tenant=row.tenant,
        state=State(row.state),
        model=row.model,
        version=row.version,
        priority=row.priority,
        generation=row.generation,
        failures=row.failures,
        timings=Timings(row.submitted_at, row.started_at, row.finished_at),
        deadline_at=row.deadline_at,
        result=row.result,
        result_ref=row.result_ref,
        reason=None if row.reason is None else Reason(row.reason),
        error=row.error,
        metadata=row.metadata,
        origin=row.origin,
    )
