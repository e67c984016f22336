"""Files are checked before anything reads them."""

import hashlib
import io
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from workers.artifacts import artifact, check_digests, refuse_pickle
from workers.errors import BadArtifact


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("data.pkl", b"\x80\x02N.")
    return buffer.getvalue()


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".pkl", ".PKL", ".joblib", ".ckpt"])
def test_pickles_are_refused_by_suffix(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"model{suffix}"
    path.write_bytes(b"anything")
    with pytest.raises(BadArtifact, match="save it as safetensors or ONNX"):
        refuse_pickle(path)


@pytest.mark.parametrize("name", ["weights.bin", "model.onnx", "model.safetensors", "model"])
@pytest.mark.parametrize("content", [*(pickle.dumps({"w": 1}, p) for p in range(2, 6)), zipped()])
def test_pickles_are_refused_by_content(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadArtifact, match="can run code"):
        artifact(tmp_path, name)


@pytest.mark.parametrize("header", range(512, 1536, 8))
def test_safetensors_is_never_taken_for_a_pickle(tmp_path: Path, header: int) -> None:
    """Its first bytes are the length of its header: 640 begins as a pickle of protocol 2 does."""
    path = tmp_path / "model.safetensors"
    path.write_bytes(header.to_bytes(8, "little") + b"{}".ljust(header) + np.zeros(4).tobytes())
    refuse_pickle(path)


@pytest.mark.parametrize("name", ["../secret", "/etc/hostname", "link", "loop", "below/../../secret"])
def test_a_file_stays_in_its_folder(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "1"
    (folder / "below").mkdir(parents=True)
    (tmp_path / "secret").write_text("s")
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "loop").symlink_to(folder / "loop")
    with pytest.raises(BadArtifact, match=r"leads out of the folder|no such file"):
        artifact(folder, name)


def test_digests(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"content")
    right = hashlib.sha256(b"content").hexdigest()
    check_digests(tmp_path, {"a": right.upper()})
    with pytest.raises(BadArtifact, match=f"a: sha256 is {right}, model.yaml expects 0000"):
        check_digests(tmp_path, {"a": "0" * 64})
    with pytest.raises(BadArtifact, match="b: no such file"):
        check_digests(tmp_path, {"b": right})
