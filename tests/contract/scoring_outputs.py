"""Outputs of the contract's tests, and those who are at them."""

from pathlib import Path
from typing import Any

from pipelines.scoring.storage.local.storage import FolderStorage
from pipelines.scoring.storage.lock import Times
from pipelines.scoring.storage.port import Failpoint, Storage, nothing
from pipelines.scoring.storage.postgres import address
from pipelines.scoring.storage.postgres.storage import TableStorage
from pipelines.scoring.storage.s3.objects import Objects
from pipelines.scoring.storage.s3.storage import BucketStorage


class Clock:
    def __init__(self) -> None:
        self.at = 0.0

    def monotonic(self) -> float:
        return self.at

    def wait(self, seconds: float) -> None:
        self.at += seconds


class Killed(BaseException):
    """Stands for SIGKILL where all that stays is on a server: nothing catches it."""


def killed_at(step: str) -> Failpoint:
    def failpoint(at: str) -> None:
        if at == step:
            raise Killed

    return failpoint


class Subject:
    """One output, and those who are at it."""

    def __init__(self, kind: str, out: Path, objects: Objects | None = None, table: str = "") -> None:
        self.kind = kind
        self.out = out
        self._given = objects
        self._table = table
        self._opened: list[TableStorage] = []

    def open(self, failpoint: Failpoint = nothing, **given: Any) -> Storage:
        """Another process would do the same."""
        if self.kind == "folder":
            return FolderStorage(self.out, failpoint)
        if self.kind == "table":
            self._opened.append(TableStorage(address.parse(self._table), failpoint, Times(beat=3600.0), **given))
            return self._opened[-1]
        return BucketStorage(self.objects, self.objects, failpoint, Times(beat=3600.0), **given)

    def close(self) -> None:
        """What keeps connections of its own."""
        for storage in self._opened:
            storage.close()

    @property
    def objects(self) -> Objects:
        assert self._given is not None
        return self._given

    def listed(self) -> dict[str, bytes]:
        """What readers see who list it, with the manifests."""
        if self.kind == "folder":
            files = (path for path in self.out.rglob("*") if path.is_file())
            return {path.relative_to(self.out).as_posix(): path.read_bytes() for path in files}
        objects = self.objects
        hidden = [f"_forebay/{each}/" for each in objects.folders("_forebay/")]
        paths = [path for path in objects.listed() if path != "_forebay/lock.json"]
        return {path: objects.get(path).data for path in paths if not any(path.startswith(each) for each in hidden)}

    def data(self) -> dict[str, bytes]:
        return {path: data for path, data in self.listed().items() if not path.startswith("_")}

    def left(self) -> list[str]:
        """Beside the output."""
        if self.kind == "folder":
            return [path.name for path in self.out.parent.iterdir() if path not in (self.out, self._lock)]
        objects = self.objects
        uploads = objects.client.list_multipart_uploads(Bucket=objects.at.bucket).get("Uploads", [])
        return [*objects.folders("_forebay/"), *(each["Key"] for each in uploads)]

    def put_stranger(self, path: str) -> None:
        if self.kind == "folder":
            (self.out / path).parent.mkdir(parents=True, exist_ok=True)
            (self.out / path).write_bytes(b"stranger")
        else:
            self.objects.put(path, b"stranger")

    @property
    def _lock(self) -> Path:
        return self.out.parent / f".{self.out.name}.forebay-lock"
