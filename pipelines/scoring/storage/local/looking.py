"""What is published in a folder."""

import os
import stat
from pathlib import Path

from pipelines.scoring.faults import OtherRun, StorageFault
from pipelines.scoring.storage import manifests
from pipelines.scoring.storage.local.files import told
from pipelines.scoring.storage.manifests import Current
from pipelines.scoring.storage.naming import FOLDER, POINTER, SUCCESS

_TRIES = 5
"""A folder that is exchanged and removed while it is read is read again."""


def refuse(out: Path) -> None:
    """What is no folder and no place for one, before anything else is said of it. Raises StorageFault."""
    with told(out):
        try:
            mode = out.lstat().st_mode
        except FileNotFoundError:
            return
    if stat.S_ISLNK(mode):
        raise StorageFault(f"output {out}: it is a symbolic link: give the folder that it points to, {out.resolve()}")
    if os.path.ismount(out):
        raise StorageFault(f"output {out}: it is a mount point, which cannot be exchanged: name a folder below it")
    if not stat.S_ISDIR(mode):
        raise StorageFault(f"output {out}: it is a file, and a folder is wanted: name another output, or move the file")


def look(out: Path) -> Current | None:
    """None: there is nothing. Raises OtherRun, StorageFault."""
    with told(out):
        for _ in range(_TRIES):
            try:
                folder = os.open(out, os.O_RDONLY | os.O_DIRECTORY)
            except FileNotFoundError:
                return None
            try:
                return _look(folder, out)
            except _Moved:
                continue
            finally:
                os.close(folder)
    raise OtherRun(
        f"output {out}: {POINTER} names a manifest that is not there: name another output, or remove this one"
    )


class _Moved(Exception):
    pass


def _look(folder: int, out: Path) -> Current | None:
    """Both files of one and the same folder, whatever its name is meanwhile."""
    pointer = _read(folder, POINTER)
    if pointer is None:
        if there := os.listdir(folder):
            raise _strange(out, min(there))
        return None
    manifest = _read(folder, manifests.pointer_of(pointer, f"{out}/{POINTER}").manifest)
    if manifest is None:
        raise _Moved
    return manifests.current(pointer, manifest, f"output {out}")


def refuse_strangers(out: Path, there: Current) -> None:
    """Files that are not of what is published: they are nobody's to replace but their owner's. Raises OtherRun, OSError."""
    for root, folders, names in os.walk(out):
        links = [name for name in folders if os.path.islink(os.path.join(root, name))]
        for name in sorted((*names, *links)):
            path = Path(root, name).relative_to(out).as_posix()
            if path != SUCCESS and not path.startswith(f"{FOLDER}/") and path not in there.paths:
                raise _strange(out, path)


def _strange(out: Path, path: str) -> OtherRun:
    return OtherRun(
        f"output {out}: it holds something that is not of Forebay, {path!r}: name another output, or move that away"
    )


def _read(folder: int, path: str) -> bytes | None:
    try:
        opened = os.open(path, os.O_RDONLY, dir_fd=folder)
    except FileNotFoundError:
        return None
    with open(opened, "rb") as file:
        return file.read()
