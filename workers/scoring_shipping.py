"""A model's files on their way to machines that do not have them: packed in pieces, laid out once per machine.

A machine keeps what it was sent last below its temp folder, so that the next run with the same model sends nothing; what
nobody uses is removed when another model comes.
"""

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from pipelines.catalog import ModelVersion
from pipelines.scoring.faults import StorageFault
from workers.errors import BadArtifact

PIECE_BYTES = 32 << 20

Put = Callable[[bytes], Any]
"""Puts a piece where other machines get it, and answers how it is asked for."""
Get = Callable[[Any], bytes]


class Sent(Struct, frozen=True):
    name: str
    """Below the model's folder."""
    size: int
    sha256: str
    pieces: tuple[Any, ...]


class Shipment(Struct, frozen=True):
    """A model folder with one version in it."""

    digest: str
    """Of names and bytes."""
    files: tuple[Sent, ...]


def pack(version: ModelVersion, put: Put) -> Shipment:
    """Raises BadArtifact when a file cannot be read."""
    root = version.folder.parent
    paths = [path for path in sorted(root.rglob("*")) if path.is_file() and _wanted(path.relative_to(root), version)]
    files = tuple(_sent(path, path.relative_to(root).as_posix(), put) for path in paths)
    digest = hashlib.sha256("".join(f"{file.name}\0{file.sha256}\0" for file in files).encode())
    return Shipment(digest.hexdigest(), files)


def _wanted(path: Path, version: ModelVersion) -> bool:
    """Not what belongs to another version."""
    first = path.parts[0]
    return first == version.version or len(path.parts) == 1 or not first.isdecimal()


def _sent(path: Path, name: str, put: Put) -> Sent:
    digest, size, pieces = hashlib.sha256(), 0, []
    try:
        with path.open("rb") as stream:
            while piece := stream.read(PIECE_BYTES):
                digest.update(piece)
                size += len(piece)
                pieces.append(put(piece))
    except OSError as fault:
        raise BadArtifact(f"{path}: {fault.strerror}") from None
    return Sent(name, size, digest.hexdigest(), tuple(pieces))


class Depot:
    """Of one machine, shared by its processes; what one of them uses stays until it is closed, or ends."""

    def __init__(self, folder: Path | None = None) -> None:
        """By default one of this user's, below the temp folder."""
        self._folder = Path(tempfile.gettempdir(), f"forebay-models-{os.getuid()}") if folder is None else folder
        self._used: list[int] = []

    def lay_out(self, shipment: Shipment, version: ModelVersion, get: Get) -> ModelVersion:
        """The same version, in a folder of this machine. Raises StorageFault, BadArtifact."""
        try:
            self._own()
            self._use(shipment.digest)
            self._sweep()
            root = self._folder / shipment.digest / version.name
            with _locked(self._folder / f"{shipment.digest}.making"):
                for file in shipment.files:
                    _write(root / file.name, file, get)
        except OSError as fault:
            raise StorageFault(
                f"{fault.filename or self._folder}: {fault.strerror}; a model is laid out there"
            ) from fault
        hooks = None if version.hooks is None else root / version.hooks.relative_to(version.folder.parent)
        return replace(version, folder=root / version.version, hooks=hooks)

    def close(self) -> None:
        """Nothing is used any longer."""
        while self._used:
            os.close(self._used.pop())

    def _own(self) -> None:
        """What lies there is run as code: it must be ours."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        at = self._folder.lstat()
        if at.st_uid != os.getuid() or at.st_mode & 0o022:
            raise StorageFault(f"{self._folder}: belongs to somebody else, or others may write there; remove it")

    def _use(self, digest: str) -> None:
        lock = os.open(self._folder / f"{digest}.used", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(lock, fcntl.LOCK_SH)
        self._used.append(lock)

    def _sweep(self) -> None:
        """The models that no process uses."""
        for path in self._folder.glob("*.used"):
            lock = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(self._folder / path.stem, ignore_errors=True)
            except BlockingIOError:
                pass
            finally:
                os.close(lock)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _write(path: Path, file: Sent, get: Get) -> None:
    """Nothing when it is there. It has its name only once it is whole."""
    if path.is_file() and path.stat().st_size == file.size:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    part, digest = path.with_name(path.name + ".part"), hashlib.sha256()
    with part.open("wb") as stream:
        for piece in file.pieces:
            data = get(piece)
            digest.update(data)
            stream.write(data)
    if digest.hexdigest() != file.sha256:
        raise BadArtifact(f"{path}: arrived with other bytes than were sent")
    part.replace(path)
