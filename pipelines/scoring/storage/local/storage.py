"""A folder as an output: see `pipelines.scoring.storage.port.Storage`."""

import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

from pipelines import durable
from pipelines.scoring.faults import OtherRun
from pipelines.scoring.storage.local import files, lock
from pipelines.scoring.storage.local.exchange import Exchange, exchange
from pipelines.scoring.storage.local.lock import FileLock
from pipelines.scoring.storage.local.looking import look, refuse, refuse_strangers
from pipelines.scoring.storage.local.parts import FolderParts
from pipelines.scoring.storage.local.places import Places
from pipelines.scoring.storage.local.publication import Publication, repair
from pipelines.scoring.storage.local.records import FolderRecords
from pipelines.scoring.storage.port import Failpoint, Held, nothing
from schemas.scoring import Manifest, StoredFile


def random_name() -> str:
    return uuid.uuid4().hex


class FolderStorage:
    def __init__(
        self,
        out: Path,
        failpoint: Failpoint = nothing,
        now: Callable[[], float] = time.time,
        token: Callable[[], str] = random_name,
        exchange: Exchange = exchange,
    ) -> None:
        """`now`: epoch seconds. `token`: a new random name. Raises BadOrder."""
        self._places = Places.of(out)
        self._failpoint = failpoint
        self._now = now
        self._token = token
        self._exchange = exchange
        self.name = str(self._places.out)

    def lock(self, run_id: str, holder: str, tell: Callable[[str], None]) -> FileLock:
        """Never waits: the kernel frees what a dead holder held."""
        self._places.aside(run_id)
        refuse(self._places.out)
        with files.told(self._places.parent):
            durable.make_folders(self._places.parent)
        held = lock.take(self._places, run_id, holder, self._now, self._last_fence())
        try:
            repair(self._places)
        except BaseException:
            held.release()
            raise
        return held

    def run(self, run_id: str) -> tuple[FolderRecords, FolderParts]:
        aside = self._places.aside(run_id)
        return FolderRecords(aside, self._token), FolderParts(aside, self._token, self._failpoint)

    def current(self, run_id: str | None = None) -> Manifest | None:
        out = self._places.out
        if run_id is not None:  # who is about to write; readers may go by a link
            self._places.aside(run_id)
            refuse(out)
        there = look(out)
        if there is None:
            return None
        if run_id is not None and there.manifest.order.run_id != run_id:
            with files.told(out):
                refuse_strangers(out, there)
        return there.manifest

    def publish(
        self, held: Held, manifest: Manifest, files: Sequence[StoredFile], kept: Sequence[str], overwrite: bool
    ) -> None:
        publication = Publication(self._places, manifest.order.run_id, self._token, self._exchange, self._failpoint)
        publication.publish(held, manifest, files, kept, overwrite)

    def forget(self, run_id: str) -> None:
        aside = self._places.aside(run_id).folder
        with files.told(aside):
            files.remove_tree(aside)
            if self._places.parent.is_dir():
                durable.sync(self._places.parent)

    def close(self) -> None:
        pass

    def _last_fence(self) -> int:
        """Of the output: a lock file that was removed begins above it."""
        try:
            there = look(self._places.out)
        except OtherRun:
            return 0
        return 0 if there is None else there.pointer.fence
