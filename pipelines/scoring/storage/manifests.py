"""Manifests and pointers, read back; and when two manifests say the same."""

import hashlib
from typing import TypeVar

import msgspec

from pipelines.scoring.faults import OtherRun
from schemas.scoring import FORMAT, Manifest, Pointer

T = TypeVar("T", Manifest, Pointer)


class Current(msgspec.Struct, frozen=True):
    """What is published."""

    pointer: Pointer
    manifest: Manifest
    digest: str
    """Of the manifest, as it lies there."""

    def says(self, manifest: Manifest) -> bool:
        """The same files from the same order. Times and attempts differ between attempts."""
        return _essence(self.manifest) == _essence(manifest)

    @property
    def paths(self) -> frozenset[str]:
        """Of every file of the output, without its manifest."""
        return frozenset(file.path for file in (*self.manifest.parts, *self.manifest.rejects))


def current(pointer: bytes, manifest: bytes, where: str) -> Current:
    """Raises OtherRun."""
    return Current(pointer_of(pointer, where), _decoded(manifest, Manifest, where), digest_of(manifest))


def refuse_other(there: Current | None, run_id: str, overwrite: bool, where: str) -> None:
    """Raises OtherRun."""
    if there is not None and not overwrite and there.pointer.run_id != run_id:
        raise OtherRun(f"{where}: run {there.pointer.run_id} is published there: name another output, or --overwrite")


def pointer_of(data: bytes, where: str) -> Pointer:
    """Raises OtherRun."""
    return _decoded(data, Pointer, where)


def digest_of(manifest: bytes) -> str:
    return hashlib.sha256(manifest).hexdigest()


class _Format(msgspec.Struct, frozen=True):
    format: int


def _decoded(data: bytes, kind: type[T], where: str) -> T:
    try:
        given = msgspec.json.decode(data, type=_Format).format
        if given != FORMAT:
            raise OtherRun(f"{where}: written by another version of Forebay (format {given}, this one knows {FORMAT})")
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        raise OtherRun(f"{where}: its {kind.__name__.lower()} cannot be read: {fault}; name another output") from None


def _essence(manifest: Manifest) -> Manifest:
    return msgspec.structs.replace(manifest, began="", finished="", seconds=0.0, attempts=0)
