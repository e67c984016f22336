"""A prefix in a bucket as an output: see `pipelines.scoring.storage.port.Storage`."""

import time
import uuid
from collections.abc import Callable, Sequence

from pipelines.clock import Clock, SystemClock
from pipelines.s3 import connecting, errors
from pipelines.s3.address import S3Address
from pipelines.s3.connecting import Bounds
from pipelines.scoring.faults import StorageFault
from pipelines.scoring.storage.lock import TIMES, CellLock, Times
from pipelines.scoring.storage.port import Failpoint, Held, nothing
from pipelines.scoring.storage.s3 import looking, tidying
from pipelines.scoring.storage.s3.layout import Run
from pipelines.scoring.storage.s3.lock import ObjectCell
from pipelines.scoring.storage.s3.objects import GUIDE, Objects
from pipelines.scoring.storage.s3.parts import ObjectParts
from pipelines.scoring.storage.s3.publication import Publication
from pipelines.scoring.storage.s3.records import ObjectRecords
from pipelines.scoring.storage.taking import Taking
from schemas.scoring import Manifest, StoredFile

DATA = Bounds(read_s=30.0, attempts=5)
"""For chunks of 8 MiB, and uploads that the server puts together."""
BEATS = Bounds(read_s=3.0, attempts=1, connections=2)
"""What fails is tried again with the next one: two calls end well within a lease."""


def open_bucket(at: S3Address, failpoint: Failpoint = nothing) -> "BucketStorage":
    """Raises StorageFault."""
    try:
        session = connecting.session()
        data, beats = (connecting.connect(at, bounds, session) for bounds in (DATA, BEATS))
    except errors.RAISED as fault:
        raise StorageFault(f"output {at}: {errors.told(fault, at, GUIDE)}") from fault
    except ValueError as fault:  # of an endpoint that is no URL
        raise StorageFault(f"output {at}: {errors.one_line(fault)}") from fault
    return BucketStorage(Objects(data, at), Objects(beats, at), failpoint)


def random_name() -> str:
    return uuid.uuid4().hex


class BucketStorage:
    def __init__(
        self,
        objects: Objects,
        beating: Objects,
        failpoint: Failpoint = nothing,
        times: Times = TIMES,
        clock: Clock | None = None,
        now: Callable[[], float] = time.time,
        wait: Callable[[float], None] = time.sleep,
        token: Callable[[], str] = random_name,
    ) -> None:
        """`beating`: the same, by a client whose calls end within a lease. `now`: epoch seconds. `token`: a new random
        name."""
        self._objects = objects
        self._beating = beating
        self._failpoint = failpoint
        cell = ObjectCell(objects)
        self._taking = Taking(
            cell, ObjectCell(beating), times, clock or SystemClock(), now, wait, token, cell.check_conditions
        )
        self._token = token
        self._records: dict[str, ObjectRecords] = {}
        self.name = str(objects.at)

    def lock(self, run_id: str, holder: str, tell: Callable[[str], None]) -> CellLock:
        Run.of(run_id)
        held = self._taking.take(run_id, holder, tell, looking.last_fence(self._objects))
        try:
            tidying.repair(self._objects)
        except BaseException:
            held.release()
            raise
        return held

    def run(self, run_id: str) -> tuple[ObjectRecords, ObjectParts]:
        run = Run.of(run_id)
        records = self._records.setdefault(run_id, ObjectRecords(self._objects, run))
        return records, ObjectParts(self._objects, run, self._token, self._failpoint)

    def current(self, run_id: str | None = None) -> Manifest | None:
        there = looking.look(self._objects)
        return None if there is None else there.manifest

    def publish(
        self, held: Held, manifest: Manifest, files: Sequence[StoredFile], kept: Sequence[str], overwrite: bool
    ) -> None:
        Publication(self._objects, held, manifest, self._failpoint).publish(files, kept, overwrite)

    def forget(self, run_id: str) -> None:
        tidying.forget(self._objects, Run.of(run_id))
        self._records.pop(run_id, None)

    def close(self) -> None:
        self._objects.client.close()
        self._beating.client.close()
