"""Parts, written aside under random names and then put where the output will have them."""

import contextlib
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from pipelines import durable
from pipelines.scoring.storage.local import files
from pipelines.scoring.storage.local.places import Aside
from pipelines.scoring.storage.naming import checked_path
from pipelines.scoring.storage.port import Failpoint
from schemas.scoring import StoredFile

_BUFFER = 1 << 20


class FolderParts:
    """See `pipelines.scoring.storage.port.Parts`."""

    def __init__(self, aside: Aside, token: Callable[[], str], failpoint: Failpoint) -> None:
        self._aside = aside
        self._token = token
        self._failpoint = failpoint

    def begin(self, path: str) -> "FolderPart":
        target = self._aside.made / checked_path(path)
        temporary = self._aside.temporary / self._token()
        with files.told(target):
            temporary.parent.mkdir(parents=True, exist_ok=True)
            opened = temporary.open("xb", buffering=_BUFFER)
        return FolderPart(path, target, temporary, opened, self._failpoint)

    def holds(self, file: StoredFile) -> bool:
        # Its size alone: it was synced before it was recorded, and hashing would read the whole output again.
        path = self._aside.made / checked_path(file.path)
        with files.told(path):
            try:
                return path.stat().st_size == file.size
            except (FileNotFoundError, NotADirectoryError):
                return False


class FolderPart:
    """See `pipelines.scoring.storage.port.PartFile`."""

    closed = False
    """pyarrow looks at it."""

    def __init__(self, path: str, target: Path, temporary: Path, opened: BinaryIO, failpoint: Failpoint) -> None:
        self._path = path
        self._target = target
        self._temporary = temporary
        self._file = opened
        self._failpoint = failpoint
        self._digest = hashlib.sha256()
        self._size = 0
        self._done = False

    def write(self, data: bytes) -> int:
        with files.told(self._target):
            self._file.write(data)
        self._digest.update(data)
        self._size += len(data)
        return len(data)

    def finish(self, rows: int) -> StoredFile:
        with files.told(self._target):
            self._failpoint("part-written")
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._failpoint("part-synced")
            durable.make_folders(self._target.parent)
            self._temporary.replace(self._target)
            self._failpoint("part-renamed")
            durable.sync(self._target.parent)
        self._done = True
        return StoredFile(self._path, self._size, self._digest.hexdigest(), rows)

    def discard(self) -> None:
        if self._done:
            return
        self._done = True
        with files.told(self._target):
            with contextlib.suppress(OSError):  # it writes what is buffered, and the disk may be full
                self._file.close()
            self._temporary.unlink(missing_ok=True)
