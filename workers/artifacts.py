"""Artifacts: a model's files, checked before anything reads them. Nothing is ever unpickled."""

import hashlib
import hmac
from collections.abc import Mapping
from pathlib import Path

from pipelines.catalog.mistakes import stays_inside
from workers.errors import BadArtifact

_PICKLED_SUFFIXES = frozenset({".pt", ".pth", ".pkl", ".pickle", ".joblib", ".ckpt"})
_ZIP = b"PK\x03\x04"
_PICKLE = frozenset(bytes([0x80, protocol]) for protocol in range(2, 6))
_HEADER_BYTES = 8
_CHUNK = 1 << 20


def artifact(folder: Path, name: str) -> Path:
    """The file `name` of a version's folder. Raises BadArtifact when it is not there, leads out of the folder, or holds
    what can run code when it is read."""
    path = inside(folder, name)
    refuse_pickle(path)
    return path


def inside(folder: Path, name: str) -> Path:
    """The file `name` below `folder`, links followed. Raises BadArtifact."""
    path = folder / name
    if Path(name).is_absolute() or not stays_inside(path, folder):
        raise BadArtifact(f"{folder}: {name!r} leads out of the folder, expected a file in it")
    if not path.is_file():
        raise BadArtifact(f"{path}: no such file")
    return path


def refuse_pickle(path: Path) -> None:
    """By suffix and by content: what torch.save and pickle write can run code when it is read."""
    if path.suffix.lower() in _PICKLED_SUFFIXES or _looks_pickled(path):
        raise BadArtifact(
            f"{path}: a pickled or zipped file can run code when it is read: save it as safetensors or ONNX"
        )


def check_digests(folder: Path, digests: Mapping[str, str]) -> None:
    """Every file that model.yaml names with a sha256 must have it."""
    for name, expected in digests.items():
        actual = sha256(artifact(folder, name))
        if not hmac.compare_digest(actual, expected.lower()):
            raise BadArtifact(f"{folder / name}: sha256 is {actual}, model.yaml expects {expected}")


def sha256(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
    except OSError as fault:
        raise BadArtifact(f"{path}: {fault.strerror}") from None
    return digest.hexdigest()


def _looks_pickled(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            start = stream.read(_HEADER_BYTES + 1)
    except OSError as fault:
        raise BadArtifact(f"{path}: {fault.strerror}") from None
    return start[:4] == _ZIP or (start[:2] in _PICKLE and not _is_safetensors(path, start))


def _is_safetensors(path: Path, start: bytes) -> bool:
    """A header's length of 640 bytes begins like a pickle; but then comes JSON, and the file is that long."""
    header = int.from_bytes(start[:_HEADER_BYTES], "little")
    return start[_HEADER_BYTES:] == b"{" and header + _HEADER_BYTES <= path.stat().st_size
