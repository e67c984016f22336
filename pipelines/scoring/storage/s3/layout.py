"""Where everything of one output lies, below its prefix.

_SUCCESS                                 last
_forebay/current.json                    the pointer: what is published
_forebay/<run>.json                      manifests
_forebay/lock.json                       who is at it
_forebay/<run>/records/…                 of an unfinished run
_forebay/<run>/uploads/<name>            one for each upload that was begun, so that none is forgotten
_forebay/<run>/publishing                what a publication that was killed was about to do
"""

import hashlib

import msgspec
from msgspec import Struct

from pipelines.scoring.storage.naming import FOLDER, checked_run
from schemas.scoring import StoredFile


class Publishing(Struct, frozen=True):
    """Written before the first thing that readers can see."""

    manifest: str
    """Its path."""
    digest: str
    """Of the manifest: published is what the pointer names, and has this digest."""
    made: tuple[str, ...]
    """Paths of its own files."""
    remove: tuple[str, ...]
    """Paths of what it replaces, and of what publications that came to nothing had made visible."""
    uploads: tuple[str, ...]
    """Paths of the notes of its uploads."""


class Upload(Struct, frozen=True):
    """The note of one that was begun."""

    path: str
    upload: str


class Handle(Struct, frozen=True):
    """Of a `StoredFile`: what completes it."""

    upload: str
    etags: list[str]
    token: str
    """In the metadata of the object: it tells this upload's object from any other at its path."""


class Run(Struct, frozen=True):
    folder: str

    @classmethod
    def of(cls, run_id: str) -> "Run":
        """Raises BadOrder."""
        return cls(f"{FOLDER}/{checked_run(run_id)}/")

    @property
    def publishing(self) -> str:
        return f"{self.folder}publishing"

    @property
    def uploads(self) -> str:
        return f"{self.folder}uploads/"

    def record(self, name: str) -> str:
        return f"{self.folder}records/{name}"

    def upload(self, upload: str) -> str:
        """`upload`: its id, of any length."""
        return f"{self.uploads}{hashlib.sha256(upload.encode()).hexdigest()[:32]}"


def handle_of(file: StoredFile) -> Handle:
    return msgspec.convert(file.handle, Handle)
