"""Artifacts: a model's files, checked before anything reads them. Nothing is ever unpickled."""

import hashlib
import hmac
from collections.abc import Mapping
from pathlib import Path

from workers.errors import BadArtifact

_PICKLED_SUFFIXES = frozenset({".pt", ".pth", ".pkl", ".pickle", ".joblib", ".ckpt"})
_ZIP = b"PK\x03\x04"
_PICKLE = b"\x80"
_CHUNK = 1 << 20


def artifact(folder: Path, name: str) -> Path:
    """The file `name` of a version's folder. Raises BadArtifact when it is not there or leads out of the folder."""
    path = folder / name
    if Path(name).is_absolute() or not path.resolve().is_relative_to(folder.resolve()):
        raise BadArtifact(f"{folder}: {name!r} leads out of the version's folder")
    if not path.is_file():
        raise BadArtifact(f"{path}: no such file")
    refuse_pickle(path)
    return path


def refuse_pickle(path: Path) -> None:
    """By suffix and by content: what torch.save and pickle write can run code when it is read."""
    with path.open("rb") as stream:
        start = stream.read(4)
    if path.suffix in _PICKLED_SUFFIXES or start == _ZIP or start[:1] == _PICKLE:
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
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
