"""Uploads become the output: completed, named by a manifest, and published by one conditional put of the pointer."""

from collections.abc import Sequence

import msgspec

from pipelines.scoring.faults import OtherRun, StorageFault
from pipelines.scoring.storage import manifests
from pipelines.scoring.storage.manifests import Current
from pipelines.scoring.storage.naming import FOLDER, POINTER, manifest_of
from pipelines.scoring.storage.port import Failpoint, Held
from pipelines.scoring.storage.s3 import looking
from pipelines.scoring.storage.s3.completing import complete
from pipelines.scoring.storage.s3.layout import Publishing, Run, handle_of
from pipelines.scoring.storage.s3.objects import Objects, Seen
from pipelines.scoring.storage.s3.tidying import tidy
from schemas.scoring import Manifest, Pointer, StoredFile, encode

_TRIES = 3
"""With `overwrite`, when somebody else's pointer comes in between."""


class Publication:
    """Of one run."""

    def __init__(self, objects: Objects, held: Held, manifest: Manifest, failpoint: Failpoint) -> None:
        self._objects = objects
        self._held = held
        self._manifest = manifest
        self._run_id = manifest.order.run_id
        self._run = Run.of(self._run_id)
        self._failpoint = failpoint

    def publish(self, files: Sequence[StoredFile], kept: Sequence[str], overwrite: bool) -> None:
        """See `pipelines.scoring.storage.port.Storage`."""
        for _ in range(_TRIES):
            self._held.check()
            pointer = self._objects.get(POINTER)
            there = self._replaceable(pointer, overwrite)
            if there is not None and there.says(self._manifest):
                publishing = looking.begun(self._objects, self._run)
            else:
                publishing = self._made_visible(there, files, kept)
                if not self._decided(publishing, pointer, overwrite):
                    continue
            if publishing is not None:
                tidy(self._objects, self._run, publishing, self._held, self._failpoint)
            return
        raise OtherRun(f"output {self._objects.at}: others publish there all the time: see who they are")

    def _replaceable(self, pointer: Seen | None, overwrite: bool) -> Current | None:
        there = looking.published(self._objects, pointer)
        manifests.refuse_other(there, self._run_id, overwrite, f"output {self._objects.at}")
        return there

    def _made_visible(self, there: Current | None, files: Sequence[StoredFile], kept: Sequence[str]) -> Publishing:
        """To those who list the prefix; not to those who go by the pointer."""
        self._failpoint("publish-checked")
        self._keepable(there, kept)
        again = looking.begun(self._objects, self._run) is not None
        encoded = encode(self._manifest)
        publishing = self._planned(there, files, manifests.digest_of(encoded))
        self._objects.put(self._run.publishing, msgspec.json.encode(publishing))
        self._failpoint("publish-noted")
        complete(self._objects, self._held, files, again)
        self._failpoint("publish-completed")
        self._held.check()
        self._objects.put(publishing.manifest, encoded)
        self._failpoint("publish-manifest")
        return publishing

    def _decided(self, publishing: Publishing, pointer: Seen | None, overwrite: bool) -> bool:
        self._held.check()
        data = encode(Pointer(self._run_id, publishing.manifest, self._held.fence))
        if self._objects.put_if(POINTER, data, None if pointer is None else pointer.etag) is not None:
            self._failpoint("publish-pointer")
            return True
        self._held.check()
        if not overwrite:
            raise OtherRun(f"output {self._objects.at}: somebody else published there meanwhile: nothing was published")
        return False

    def _keepable(self, there: Current | None, kept: Sequence[str]) -> None:
        gone = set(kept) - (frozenset() if there is None else there.paths)
        if gone:
            raise StorageFault(
                f"output {self._objects.at}: {min(gone)} was to be kept, and is not of what is published there"
            )

    def _planned(self, there: Current | None, files: Sequence[StoredFile], digest: str) -> Publishing:
        manifest = self._manifest_path(there, digest)
        new = {manifest, *(file.path for file in (*self._manifest.parts, *self._manifest.rejects))}
        old = set() if there is None else {there.pointer.manifest, *there.paths}
        uploads = tuple(self._run.upload(handle_of(file).upload) for file in files)
        remove = tuple(sorted((old | self._orphans()) - new))
        return Publishing(manifest, digest, tuple(file.path for file in files), remove, uploads)

    def _manifest_path(self, there: Current | None, digest: str) -> str:
        """The one that is published is never written over: its readers would see the new one before it is decided."""
        path = manifest_of(self._run_id)
        if there is None or there.pointer.manifest != path or there.digest == digest:
            return path
        return f"{FOLDER}/{self._run_id}~{self._held.fence}.json"  # no run id holds a '~'

    def _orphans(self) -> set[str]:
        """What publications of other runs had made visible, and came to nothing."""
        others = [each for each in looking.unfinished(self._objects) if each.run != self._run]
        return {
            path for each in others for path in (each.run.publishing, each.publishing.manifest, *each.publishing.made)
        }
