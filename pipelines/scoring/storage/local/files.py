"""Files and folders that are on the disk when a function returns; and what the system says, in one line."""

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from pipelines.durable import make_folders, sync
from pipelines.scoring.faults import StorageFault

_ADVICE = {
    errno.ENOSPC: "no space is left there: free some, then start the same command again",
    errno.EDQUOT: "the quota is used up: free some, then start the same command again",
    errno.EACCES: "no permission: let this user read, write and make folders there, and in the folder above",
    errno.EPERM: "no permission: let this user read, write and make folders there, and in the folder above",
    errno.EROFS: "the file system is read-only: name another output, or mount it for writing",
    errno.ENOTDIR: "a file is in the way of a folder: name another output, or move the file",
    errno.EBUSY: "it is a mount point or in use: name a folder below it",
    errno.ENAMETOOLONG: "the name is too long: give a shorter run id, or name another output",
    errno.EXDEV: "it lies on another file system than the folder above it: name a folder below it",
    errno.ENOENT: "it is gone: did somebody remove it?",
}


@contextlib.contextmanager
def told(path: Path) -> Iterator[None]:
    """OSError as StorageFault. `path`: where the fault names none, and what relative names are below."""
    try:
        yield
    except OSError as fault:
        named = fault.filename2 or fault.filename  # of a rename, where it leads
        where = path / named if isinstance(named, str) else path
        advice = _ADVICE.get(fault.errno or 0, f"{fault.strerror or fault}")
        raise StorageFault(f"output {where}: {advice}") from fault


def write_whole(path: Path, data: bytes, temporary: Path) -> None:
    """`temporary`: a name that nobody else uses, in the same file system. Raises OSError."""
    temporary.parent.mkdir(parents=True, exist_ok=True)
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        make_folders(path.parent)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync(path.parent)


def sync_tree(folder: Path) -> None:
    """Its folders: each file in them was synced when it was written. Raises OSError."""
    for root, _, _ in os.walk(folder):
        sync(Path(root))


def remove_tree(folder: Path) -> None:
    """Nothing when it is not there. Raises OSError."""
    if folder.exists():
        shutil.rmtree(folder)


def read(path: Path) -> bytes | None:
    """None: it is not there. Raises OSError."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
