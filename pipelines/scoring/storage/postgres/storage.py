"""A PostgreSQL table as an output: see `pipelines.scoring.storage.port.Storage`."""

import time
import uuid
from collections.abc import Callable, Sequence

from pipelines.clock import Clock, SystemClock
from pipelines.scoring.faults import LockLost, StorageFault
from pipelines.scoring.storage.lock import CellLock, Times
from pipelines.scoring.storage.naming import checked_run
from pipelines.scoring.storage.port import Failpoint, Held, nothing
from pipelines.scoring.storage.postgres import looking, tables
from pipelines.scoring.storage.postgres.address import TableAddress
from pipelines.scoring.storage.postgres.cell import TIMES, RowCell
from pipelines.scoring.storage.postgres.database import SCORING, Database
from pipelines.scoring.storage.postgres.parts import RowParts
from pipelines.scoring.storage.postgres.publication import Publication
from pipelines.scoring.storage.postgres.records import RowRecords
from pipelines.scoring.storage.taking import Taking
from schemas.scoring import Manifest, StoredFile

_FORGET = "DELETE FROM {records} WHERE output = %(output)s AND run_id = %(run)s"
_FORGET_PARTS = "DELETE FROM {parts} WHERE output = %(output)s AND run_id = %(run)s"


def random_name() -> str:
    return uuid.uuid4().hex


class TableStorage:
    """One process uses it; those of an engine open their own."""

    def __init__(
        self,
        at: TableAddress,
        failpoint: Failpoint = nothing,
        times: Times = TIMES,
        clock: Clock | None = None,
        now: Callable[[], float] = time.time,
        wait: Callable[[float], None] = time.sleep,
        token: Callable[[], str] = random_name,
    ) -> None:
        """`now`: epoch seconds. `token`: a new random name."""
        self._database = Database(at)
        self._failpoint = failpoint
        self._cell = RowCell(self._database)
        self._taking = Taking(self._cell, self._cell, times, clock or SystemClock(), now, wait, token)
        self._held: CellLock | None = None
        self.name = str(at)

    def lock(self, run_id: str, holder: str, tell: Callable[[str], None]) -> CellLock:
        checked_run(run_id)
        tables.make(self._database)
        with self._database.transaction() as connection:
            least = looking.last_fence(connection, self._database)
        try:
            self._held = self._taking.take(run_id, holder, tell, least)
        except BaseException:
            self._cell.close()
            raise
        return self._held

    def run(self, run_id: str) -> tuple[RowRecords, RowParts]:
        token = None if self._held is None else self._held.token
        records = RowRecords(self._database, checked_run(run_id), token)
        return records, RowParts(self._database, run_id, self._failpoint)

    def current(self, run_id: str | None = None) -> Manifest | None:
        with self._database.transaction() as connection:
            there = looking.look(connection, self._database, run_id)
        return None if there is None else there.current.manifest

    def publish(
        self, held: Held, manifest: Manifest, files: Sequence[StoredFile], kept: Sequence[str], overwrite: bool
    ) -> None:
        if kept:
            raise StorageFault(f"output {self.name}: {min(kept)} was to be kept, and a table keeps no files")
        held.check()
        if self._held is None:
            raise LockLost(f"output {self.name}: the lock is not held here")
        Publication(self._database, manifest, held.fence, self._held.token, self._failpoint).publish(files, overwrite)

    def forget(self, run_id: str) -> None:
        values = {"output": self._database.at.table, "run": checked_run(run_id)}
        with self._database.transaction() as connection:
            if not tables.exists(connection, self._database, SCORING):
                return
            for name in (tables.staging_of, tables.rejected_of):
                staging = self._database.own(name(self._database.at.table, run_id))
                connection.execute(self._database.sql("DROP TABLE IF EXISTS {staging}", staging=staging))
            connection.execute(self._database.sql(_FORGET), values)
            connection.execute(self._database.sql(_FORGET_PARTS), values)

    def close(self) -> None:
        self._cell.close()
