"""Payloads as files: on this machine, or on a file system that all of them share.

<root>/<store>/<tenant>/…    as `keys` says; `store` is the store's identity
<root>/.incoming/…           what is being written, under random names
<root>/.secret               what upload addresses are signed with
"""

import contextlib
import hashlib
import os
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from pipelines.durable import make_folders, sync
from pipelines.payloads import keys
from pipelines.payloads.port import Found, PayloadMissing, PayloadsAway, Presigned, checked, of_size

PAGE = 500
_SECRET_BYTES = 32


class FolderPayloads:
    """See `pipelines.payloads.port`: Payloads, Shelf, Uploads, Receiving and Place."""

    def __init__(self, root: Path, store: str, now: Callable[[], float] = time.time) -> None:
        """`store`: whose payloads these are. `now`: epoch seconds."""
        self._root = root
        self._ours = root / store
        self._incoming = root / ".incoming"
        self._now = now
        self.place = f"folder {root}"

    def put(self, key: str, data: bytes) -> None:
        with told(key, self.place):
            incoming = self._new(key)
            try:
                incoming.write(data)
                incoming.finish(replace=True)
            finally:
                incoming.close()

    def get(self, key: str, size: int | None = None) -> bytes:
        with told(key, self.place), self._opened(key) as file:
            of_size(key, size, os.fstat(file.fileno()).st_size, self.place)
            data = file.read()
        return checked(key, keys.digest_of(key), data, hashlib.sha256(data).hexdigest(), self.place)

    def remove(self, keys: Sequence[str]) -> None:
        for key in keys:
            with told(key, self.place), contextlib.suppress(FileNotFoundError):
                self._path(key).unlink()

    def older(self, age: float) -> Iterator[list[str]]:
        before = self._now() - age
        with told("of all", self.place):
            self._drop_unfinished(before)
            page: list[str] = []
            for key in self._walk(before):
                page.append(key)
                if len(page) == PAGE:
                    yield page
                    page = []
            if page:
                yield page

    def found(self, key: str) -> Found | None:
        with told(key, self.place):
            try:
                at = self._path(key).stat()
            except FileNotFoundError:
                return None
        return Found(at.st_size, max(0.0, self._now() - at.st_mtime))

    def presign(self, key: str, size: int | None, seconds: float) -> Presigned | None:
        return None

    def look(self) -> None:
        """It need not be there yet: the first put makes it."""
        with told("of all", self.place):
            at = next(folder for folder in (self._root, *self._root.parents) if folder.exists())
            if not at.is_dir():
                raise PayloadsAway(f"payloads: {self.place}: {at} is no folder")
            if not os.access(at, os.W_OK | os.X_OK):
                where = "it" if at == self._root else f"not there, and {at}"
                raise PayloadsAway(f"payloads: {self.place}: {where} cannot be written to by this user")

    def receive(self, key: str) -> "IncomingFile":
        with told(key, self.place):
            return self._new(key)

    def secret(self) -> bytes:
        path = self._root / ".secret"
        with told("of all", self.place):
            with contextlib.suppress(FileExistsError):
                _make_secret(path)
            return path.read_bytes()

    def _new(self, key: str) -> "IncomingFile":
        target = self._path(key)
        self._incoming.mkdir(parents=True, exist_ok=True)
        return IncomingFile(self._incoming / uuid.uuid4().hex, target, key, self.place)

    def _path(self, key: str) -> Path:
        return self._ours / keys.check(key)

    def _opened(self, key: str) -> BinaryIO:
        try:
            return self._path(key).open("rb")
        except FileNotFoundError:
            raise self._not_there(key) from None

    def _not_there(self, key: str) -> Exception:
        """Without our folder nothing can be said about what is in it: a file system that is not mounted loses nothing."""
        if self._ours.is_dir():
            return PayloadMissing(f"payload {key}: not in {self.place}")
        return PayloadsAway(f"payloads: no {self._ours}: is it mounted, and do API and workers name the same folder?")

    def _walk(self, before: float) -> Iterator[str]:
        for tenant in _folders(self._ours):
            for below in _folders(tenant):
                with os.scandir(below) as files:
                    for file in files:
                        if _put_before(file, before):
                            yield f"{tenant.name}/{below.name}/{file.name}"

    def _drop_unfinished(self, before: float) -> None:
        """Of processes that were killed in the middle."""
        if not self._incoming.is_dir():
            return
        with os.scandir(self._incoming) as files:
            for file in files:
                if _put_before(file, before):
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(file.path)


@contextlib.contextmanager
def told(key: str, place: str) -> Iterator[None]:
    """What the system says, as PayloadsAway."""
    try:
        yield
    except OSError as fault:
        raise PayloadsAway(f"payload {key}: {place}: {fault.strerror or fault}") from fault


class IncomingFile:
    """See `pipelines.payloads.port.Incoming`."""

    def __init__(self, path: Path, target: Path, key: str, place: str) -> None:
        self._path = path
        self._target = target
        self._key = key
        self._place = place
        self._digest = hashlib.sha256()
        self._file: BinaryIO = path.open("xb", buffering=0)

    def write(self, chunk: bytes) -> None:
        with told(self._key, self._place):
            view = memoryview(chunk)
            while view:
                view = view[self._file.write(view) :]
            self._digest.update(chunk)

    def finish(self, replace: bool = False) -> bool:
        digest, expected = self._digest.hexdigest(), keys.digest_of(self._key)
        if expected not in (None, digest):
            raise PayloadMissing(f"payload {self._key}: what came has the sha256 {digest}")
        with told(self._key, self._place):
            os.fsync(self._file.fileno())
            make_folders(self._target.parent)
            if replace:
                os.replace(self._path, self._target)
            else:
                try:
                    os.link(self._path, self._target)  # fails when there is one: an upload is written once
                except FileExistsError:
                    return False
            sync(self._target.parent)
            return True

    def close(self) -> None:
        self._file.close()
        self._path.unlink(missing_ok=True)


def _folders(of: Path) -> list[Path]:
    return sorted(path for path in of.iterdir() if path.is_dir()) if of.is_dir() else []


def _put_before(file: "os.DirEntry[str]", before: float) -> bool:
    try:
        return file.is_file(follow_symlinks=False) and file.stat().st_mtime <= before
    except FileNotFoundError:  # removed meanwhile
        return False


def _make_secret(path: Path) -> None:
    """Whole or not there: two APIs that start together agree."""
    path.parent.mkdir(parents=True, exist_ok=True)
    made = path.with_name(f".secret-{uuid.uuid4().hex}")
    try:
        with os.fdopen(os.open(made, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
            file.write(os.urandom(_SECRET_BYTES))
            file.flush()
            os.fsync(file.fileno())
        os.link(made, path)
    finally:
        made.unlink(missing_ok=True)
