"""An input on a file system of this machine."""

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import xxhash

from pipelines.scoring.dataset import Listed, is_hidden
from pipelines.scoring.faults import BadInput, InputChanged


class LocalFiles:
    """See `pipelines.scoring.dataset.Files`."""

    remote = False

    def __init__(self, root: Path) -> None:
        self.name = str(root)
        self._root = root

    def listed(self) -> list[Listed]:
        try:
            if self._root.is_file():
                return [self._listed(self._root, self._root.name)]
            if not self._root.is_dir():
                raise BadInput(f"{self._root}: no such file or folder")
            return [self._listed(path, path.relative_to(self._root).as_posix()) for path in _walk(self._root, ())]
        except OSError as fault:
            raise self._told(fault) from fault

    def open(self, path: str) -> pa.NativeFile:
        return pa.OSFile(str(self._path(path)))

    def tag(self, file: Listed) -> str:
        try:
            with self._path(file.path).open("rb") as stream:
                # As `xxhsum -H2` has it: against accidents, and ten times as quick as what is against forgers.
                found = "xxh128:" + hashlib.file_digest(stream, xxhash.xxh3_128).hexdigest()
            now = self._listed(self._path(file.path), file.path)
        except FileNotFoundError:
            raise self._changed(file, "is gone") from None
        except OSError as fault:
            raise self._told(fault) from fault
        if (now.size, now.changed) != (file.size, file.changed):  # which bytes were scored nobody knows then
            raise self._changed(file, "was written meanwhile")
        return found

    def close(self) -> None:
        """Nothing is open."""

    def _listed(self, path: Path, name: str) -> Listed:
        try:
            at = path.stat()
        except FileNotFoundError:
            if not path.is_symlink():
                raise
            return Listed(name, 0, 0.0, fault="a link that leads nowhere")
        if not stat.S_ISREG(at.st_mode):  # to open a pipe is to wait for somebody who writes to it
            return Listed(name, 0, 0.0, fault="no file: a pipe, a socket or a device")
        # A file that is moved over another keeps the time it was written at, and not the time of its entry.
        return Listed(name, at.st_size, max(at.st_mtime, at.st_ctime))

    def _path(self, path: str) -> Path:
        return self._root if self._root.is_file() else self._root / path

    def _changed(self, file: Listed, what: str) -> InputChanged:
        return InputChanged(f"{self.name} changed since the run began: {file.path} {what}; give another --run-id")

    def _told(self, fault: OSError) -> BadInput:
        return BadInput(f"{fault.filename or self._root}: {fault.strerror or fault}")


def _walk(folder: Path, above: tuple[tuple[int, int], ...]) -> Iterator[Path]:
    """Files below it, links followed; not into what is hidden. `above`: the folders that it lies in, and those that led
    there. Raises BadInput, OSError."""
    at = folder.stat()
    here = (*above, (at.st_dev, at.st_ino))
    if here[-1] in above:
        raise BadInput(f"{_end(folder)}: a link to a folder that it lies in: remove it")
    with os.scandir(folder) as entries:
        found = list(entries)
    for entry in found:
        if not entry.is_dir():
            yield Path(entry.path)
        elif not is_hidden(entry.name):
            yield from _walk(Path(entry.path), here)


def _end(folder: Path, most: int = 4) -> str:
    """The last steps of a path."""
    steps = folder.parts
    return str(folder) if len(steps) <= most else "…/" + "/".join(steps[-most:])
