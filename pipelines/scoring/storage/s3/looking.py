"""What is published below a prefix."""

import msgspec
from msgspec import Struct

from pipelines.scoring.faults import OtherRun, StorageFault
from pipelines.scoring.storage import manifests
from pipelines.scoring.storage.manifests import Current
from pipelines.scoring.storage.naming import FOLDER, POINTER
from pipelines.scoring.storage.s3.layout import Publishing, Run
from pipelines.scoring.storage.s3.objects import Objects, Seen


def look(objects: Objects) -> Current | None:
    """None: there is nothing. Raises OtherRun, StorageFault."""
    pointer = objects.get(POINTER)
    while pointer is not None:
        found = _named(objects, pointer)
        if found is not None:
            return found
        before, pointer = pointer, objects.get(POINTER)
        if pointer is not None and pointer.etag == before.etag:
            break  # else it was replaced between the two calls
    return published(objects, pointer)


def last_fence(objects: Objects) -> int:
    """Of the output: a lock that was removed begins above it. Raises StorageFault."""
    pointer = objects.get(POINTER)
    try:
        return 0 if pointer is None else manifests.pointer_of(pointer.data, str(objects.at)).fence
    except OtherRun:
        return 0


def published(objects: Objects, pointer: Seen | None) -> Current | None:
    """What this pointer names, or the lack of one. Raises OtherRun, StorageFault."""
    if pointer is None:
        refuse_strangers(objects)
        return None
    found = _named(objects, pointer)
    if found is None:
        raise OtherRun(
            f"output {objects.at}: {POINTER} names a manifest that is not there: name another output, or remove this one"
        )
    return found


def _named(objects: Objects, pointer: Seen) -> Current | None:
    """None: its manifest is not there."""
    where = f"output {objects.at}"
    manifest = objects.get(manifests.pointer_of(pointer.data, where).manifest)
    return None if manifest is None else manifests.current(pointer.data, manifest.data, where)


def refuse_strangers(objects: Objects) -> None:
    """Of an output without a pointer: objects that no publication of ours has made. Raises OtherRun."""
    made: set[str] | None = None
    for path in objects.listed():
        if not path or path.startswith(f"{FOLDER}/"):  # the first: "folders" that consoles make
            continue
        if made is None:
            made = {each for begun in unfinished(objects) for each in begun.publishing.made}
        if path not in made:
            raise OtherRun(
                f"output {objects.at}: it holds something that is not of Forebay, {path!r}: name another output,"
                " or move that away"
            )


class Begun(Struct, frozen=True):
    run: Run
    publishing: Publishing


def unfinished(objects: Objects) -> list[Begun]:
    """Publications, of any run, that were begun and not ended."""
    found = ((run, begun(objects, run)) for run in map(_run, objects.folders(f"{FOLDER}/")))
    return [Begun(run, publishing) for run, publishing in found if publishing is not None]


def begun(objects: Objects, run: Run) -> Publishing | None:
    """The note of a publication that has not ended. Raises StorageFault."""
    seen = objects.get(run.publishing)
    try:
        return None if seen is None else msgspec.json.decode(seen.data, type=Publishing)
    except msgspec.DecodeError as fault:
        raise StorageFault(f"output {objects.at}: {run.publishing} cannot be read: {fault}: delete it") from None


def _run(name: str) -> Run:
    return Run(f"{FOLDER}/{name}/")
