"""The model that ships with the repository: accurate, small, and the same network on both runtimes."""

import json
import os
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from pipelines.catalog import Catalog
from pipelines.flow.served import Prepared
from pipelines.ports import InvalidInput
from workers.loading import LoadedModel, load, warm

MODELS = Path(__file__).parents[3] / "models"
ROWS = [json.loads(line) for line in (MODELS / "digits" / "heldout.jsonl").read_text().splitlines()]


def loaded(version: str) -> LoadedModel:
    found = Catalog.open(MODELS).resolve("digits", version)
    model = load(found, "cpu")
    warm(model, found)
    return model


def probabilities(model: LoadedModel) -> np.ndarray:
    """Of every held-out row: (rows, 10)."""
    prepared = model.prepare([msgspec.json.encode(row["inputs"]) for row in ROWS])
    outputs: list[Any] = model.finish(model.predict([p.tensors for p in prepared if isinstance(p, Prepared)]))
    return np.array([msgspec.json.decode(output)["probabilities"] for output in outputs])


def test_the_repository_has_no_mistakes() -> None:
    Catalog.open(MODELS).check()
    assert Catalog.open(MODELS).resolve("digits").version == "1"


def test_a_worker_knows_how_large_an_upload_may_be() -> None:
    assert loaded("1").limits.max_upload_bytes == 64 << 10


def test_version_1_is_accurate_on_rows_it_never_saw() -> None:
    answers = probabilities(loaded("1"))
    assert answers.shape == (360, 10)
    assert np.allclose(answers.sum(axis=1), 1, atol=1e-5)
    assert (answers.argmax(axis=1) == [row["label"] for row in ROWS]).mean() >= 0.95


def test_both_versions_are_the_same_network() -> None:
    if os.environ.get("CI") != "true":  # in CI it must be there
        pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'forebay[torch]'")
    assert np.allclose(probabilities(loaded("1")), probabilities(loaded("2")), rtol=0, atol=1e-5)


def test_every_artifact_has_its_digest_and_is_small() -> None:
    for version in Catalog.open(MODELS).versions():
        there = {path.name for path in version.folder.iterdir() if path.is_file()}
        assert set(version.sha256) == there
    files = [path for path in (MODELS / "digits").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert sum(path.stat().st_size for path in files) < 300_000


def test_what_is_no_picture_is_refused() -> None:
    empty, bright = loaded("1").prepare([b'{"pixels":[' + b"0," * 63 + b"%d]}" % last for last in (0, 17)])
    assert isinstance(empty, InvalidInput)
    assert isinstance(bright, InvalidInput)
    assert "nothing is drawn" in str(empty)
    assert "pixels[63]: 17" in str(bright)
