"""After a publication, or instead of one: what is not of the output any more is removed."""

from concurrent.futures import ThreadPoolExecutor

import msgspec

from pipelines.scoring.faults import OtherRun
from pipelines.scoring.storage.manifests import Current
from pipelines.scoring.storage.naming import POINTER, SUCCESS
from pipelines.scoring.storage.port import Failpoint, Held, nothing
from pipelines.scoring.storage.s3 import looking
from pipelines.scoring.storage.s3.layout import Publishing, Run, Upload
from pipelines.scoring.storage.s3.objects import Objects
from pipelines.scoring.storage.s3.upload import abort

AT_ONCE = 8


def tidy(
    objects: Objects, run: Run, publishing: Publishing, held: Held | None = None, failpoint: Failpoint = nothing
) -> None:
    """Of a published run. `_SUCCESS` comes when nothing else is seen by those who list; the note of the publication goes
    last, so that who is killed here is called again."""
    if held is not None:
        held.check()
    objects.remove(publishing.remove)
    failpoint("publish-removed")
    objects.put(SUCCESS, b"")
    failpoint("publish-success")
    objects.remove([*publishing.uploads])
    objects.remove([run.publishing])
    failpoint("publish-tidied")


def repair(objects: Objects) -> None:
    """What a publication left that was killed after it was decided. By who holds the lock. Raises StorageFault."""
    there = _current(objects)
    if there is None:
        return
    run = Run.of(there.pointer.run_id)
    publishing = looking.begun(objects, run)
    if publishing is not None and publishing.digest == there.digest:
        tidy(objects, run, publishing)


def forget(objects: Objects, run: Run) -> None:
    """See `pipelines.scoring.storage.port.Storage`."""
    publishing = looking.begun(objects, run)
    if publishing is not None:
        there = _current(objects)
        if there is not None and there.digest == publishing.digest:
            tidy(objects, run, publishing)
        else:
            named = set() if there is None else {there.pointer.manifest, *there.paths}
            objects.remove(sorted({publishing.manifest, *publishing.made} - named))
    notes = list(objects.listed(run.uploads))
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="forebay-abort") as pool:
        for _ in pool.map(lambda note: _abort(objects, note), notes):
            pass
    objects.remove(list(objects.listed(run.folder)))


def _abort(objects: Objects, note: str) -> None:
    seen = objects.get(note)
    if seen is not None:
        upload = msgspec.json.decode(seen.data, type=Upload)
        abort(objects, upload.path, upload.upload)


def _current(objects: Objects) -> Current | None:
    pointer = objects.get(POINTER)
    try:
        return None if pointer is None else looking.published(objects, pointer)
    except OtherRun:
        return None
