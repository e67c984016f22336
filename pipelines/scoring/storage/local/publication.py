"""A finished folder becomes the output by one rename, and what a killed publication left is put right."""

import logging
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from pipelines import durable
from pipelines.scoring.faults import OtherRun, StorageFault
from pipelines.scoring.storage import manifests
from pipelines.scoring.storage.local import files
from pipelines.scoring.storage.local.exchange import Exchange
from pipelines.scoring.storage.local.looking import look, refuse_strangers
from pipelines.scoring.storage.local.places import Aside, Places
from pipelines.scoring.storage.manifests import Current
from pipelines.scoring.storage.naming import POINTER, SUCCESS, checked_path, manifest_of
from pipelines.scoring.storage.port import Failpoint, Held
from schemas.scoring import Manifest, Pointer, StoredFile, encode

_log = logging.getLogger(__name__)


class Publication:
    """Of one run. The steps before `_swap` touch nothing that readers see; those after it only tidy up."""

    def __init__(
        self, places: Places, run_id: str, token: Callable[[], str], exchange: Exchange, failpoint: Failpoint
    ) -> None:
        self._places = places
        self._aside = places.aside(run_id)
        self._token = token
        self._exchange = exchange
        self._failpoint = failpoint

    def publish(
        self, held: Held, manifest: Manifest, files: Sequence[StoredFile], kept: Sequence[str], overwrite: bool
    ) -> None:
        """See `pipelines.scoring.storage.port.Storage`."""
        held.check()
        there = self._replaceable(manifest, overwrite)
        if there is not None and there.says(manifest):
            tidy(self._aside)
            return
        self._failpoint("publish-checked")
        self._assemble(manifest, files, kept, held.fence)
        self._failpoint("publish-assembled")
        held.check()
        self._swap()
        self._failpoint("publish-swapped")
        tidy(self._aside)
        self._failpoint("publish-tidied")

    def _replaceable(self, manifest: Manifest, overwrite: bool) -> Current | None:
        out = self._places.out
        there = look(out)
        manifests.refuse_other(there, manifest.order.run_id, overwrite, f"output {out}")
        if there is not None and not there.says(manifest):
            with files.told(out):
                refuse_strangers(out, there)
        return there

    def _assemble(self, manifest: Manifest, made: Sequence[StoredFile], kept: Sequence[str], fence: int) -> None:
        folder, run_id = self._aside.made, manifest.order.run_id
        with files.told(folder):
            durable.make_folders(folder)
            self._all_there(made)
            _remove_others(folder, {file.path for file in made})
            self._failpoint("publish-cleared")
            for path in sorted(set(kept) - {file.path for file in made}):
                _link(self._places.out / checked_path(path), folder / path)
            self._failpoint("publish-linked")
            if self._places.out.exists():
                shutil.copymode(self._places.out, folder)  # who may read it stays as it was
            encoded = encode(manifest)
            self._put(manifest_of(run_id), encoded)
            self._failpoint("publish-manifest")
            self._put(POINTER, encode(Pointer(run_id, manifest_of(run_id), fence)))
            self._put(SUCCESS, b"")
            files.sync_tree(folder)
            self._failpoint("publish-success")
            digest = manifests.digest_of(encoded).encode()
            files.write_whole(self._aside.publishing, digest, self._aside.temporary / self._token())

    def _all_there(self, made: Sequence[StoredFile]) -> None:
        for file in made:
            path = self._aside.made / checked_path(file.path)
            if not path.is_file() or path.stat().st_size != file.size:
                raise StorageFault(f"output {path}: it is not as it was written: start the same command again")

    def _put(self, path: str, data: bytes) -> None:
        files.write_whole(self._aside.made / path, data, self._aside.temporary / self._token())

    def _swap(self) -> None:
        made, out = self._aside.made, self._places.out
        with files.told(out):
            if not out.exists() or not any(out.iterdir()):
                made.rename(out)  # over an empty folder too, and over nothing else
            elif not self._exchange(made, out):
                out.rename(self._aside.old)
                self._failpoint("publish-moved")
                made.rename(out)
            durable.sync(out.parent)
            durable.sync(self._aside.folder)


def repair(places: Places) -> None:
    """What publications left that were killed between their first rename and their last step. By who holds the lock.
    Raises StorageFault."""
    with files.told(places.parent):
        for aside in places.asides():
            digest = files.read(aside.publishing)
            if digest is None:
                continue
            if not places.out.exists() and aside.old.exists():
                aside.old.rename(places.out)
                durable.sync(places.parent)
            elif _is_published(places, digest):
                tidy(aside)


def tidy(aside: Aside) -> None:
    """The old output is gone when this returns; the mark last, so that who is killed here is called again."""
    try:
        files.remove_tree(aside.made)
        files.remove_tree(aside.old)
        aside.publishing.unlink(missing_ok=True)
    except OSError as fault:
        # The output is published, and no run fails for what it replaced. The next one tries again.
        _log.warning("output replaced, but what it was before is still in %s: %s", aside.folder, fault)


def _is_published(places: Places, digest: bytes) -> bool:
    try:
        there = look(places.out)
    except OtherRun:
        return False
    return there is not None and there.digest.encode() == digest


def _remove_others(folder: Path, expected: set[str]) -> None:
    """Of parts that were begun and never recorded, and of a publication that was killed."""
    for root, _, names in os.walk(folder, topdown=False):
        for name in names:
            path = Path(root, name)
            if path.relative_to(folder).as_posix() not in expected:
                path.unlink()
        if Path(root) != folder and not os.listdir(root):
            os.rmdir(root)


def _link(source: Path, target: Path) -> None:
    """A copy where links are impossible."""
    durable.make_folders(target.parent)
    try:
        target.hardlink_to(source)
    except FileNotFoundError:
        raise StorageFault(f"output {source}: it was to be kept, and is gone: did somebody remove it?") from None
    except OSError:
        shutil.copyfile(source, target)
        with target.open("rb") as copy:
            os.fsync(copy.fileno())
