"""An input on a file system of this machine."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import xxhash

from pipelines.scoring.dataset import Listed
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
            return [self._listed(path, path.relative_to(self._root).as_posix()) for path in self._walk()]
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

    def _walk(self) -> Iterator[Path]:
        def raised(fault: OSError) -> None:
            raise fault

        for folder, _, names in os.walk(self._root, onerror=raised, followlinks=True):
            yield from (Path(folder, name) for name in names)

    def _listed(self, path: Path, name: str) -> Listed:
        at = path.stat()
        # A file that is moved over another keeps the time it was written at, and not the time of its entry.
        return Listed(name, at.st_size, max(at.st_mtime, at.st_ctime))

    def _path(self, path: str) -> Path:
        return self._root if self._root.is_file() else self._root / path

    def _changed(self, file: Listed, what: str) -> InputChanged:
        return InputChanged(f"{self.name} changed since the run began: {file.path} {what}; let nobody write to it")

    def _told(self, fault: OSError) -> BadInput:
        return BadInput(f"{fault.filename or self._root}: {fault.strerror or fault}")
