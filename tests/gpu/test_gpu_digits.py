"""On a CUDA device both versions of `digits` answer as on the CPU, and a batch that does not fit says so."""

import json
from pathlib import Path

import numpy as np
import pytest

from pipelines.catalog import Catalog
from pipelines.flow.ceilings import Ceilings
from pipelines.flow.isolation import isolate
from pipelines.flow.served import Prepared
from pipelines.ports import OutOfMemory, Tensors
from workers.loading import LoadedModel, load, warm

ROOT = Path(__file__).parents[2]
MODELS = ROOT / "models"
ROWS = [json.loads(line) for line in (MODELS / "digits" / "heldout.jsonl").read_text().splitlines()]


def loaded(version: str, device: str) -> LoadedModel:
    found = Catalog.open(MODELS).resolve("digits", version)
    if found.runtime == "onnx" and device != "cpu":
        ort = pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed: pip install 'forebay[gpu]'")
        if "CUDAExecutionProvider" not in ort.get_available_providers():
            pytest.skip("this ONNX Runtime has no CUDA: install forebay[gpu] instead of forebay[cpu]")
    model = load(found, device)
    warm(model, found)
    return model


def tensors(model: LoadedModel) -> list[Tensors]:
    prepared = model.prepare([json.dumps(row["inputs"]).encode() for row in ROWS])
    assert all(isinstance(each, Prepared) for each in prepared)
    return [each.tensors for each in prepared if isinstance(each, Prepared)]


@pytest.mark.parametrize("version", ["1", "2"])
def test_the_device_answers_as_the_cpu_does(version: str) -> None:
    model = loaded(version, "cuda:0")
    there, here = model.predict(tensors(model)), loaded(version, "cpu").predict(tensors(model))
    for on_device, on_cpu in zip(there, here, strict=True):
        np.testing.assert_allclose(on_device["probabilities"], on_cpu["probabilities"], atol=1e-3)
    right = sum(int(answer["probabilities"].argmax()) == row["label"] for answer, row in zip(there, ROWS, strict=True))
    assert right / len(ROWS) > 0.95


def test_a_batch_that_does_not_fit_is_halved_and_its_ceiling_remembered() -> None:
    """The device itself says that it is out of memory; nothing of it is pretended."""
    import torch

    torch.cuda.set_per_process_memory_fraction(0.02)
    free = int(torch.cuda.get_device_properties(0).total_memory * 0.02)

    def predict(inputs: list[Tensors]) -> list[Tensors]:
        try:
            held = torch.empty(len(inputs) * (free // 10), dtype=torch.uint8, device="cuda")
        except torch.OutOfMemoryError as fault:
            raise OutOfMemory(f"{len(inputs)} items did not fit") from fault
        del held
        torch.cuda.empty_cache()
        return [dict(each) for each in inputs]

    ceilings = Ceilings()
    given = [{"x": np.array([float(n)])} for n in range(32)]
    outcomes = isolate(predict, given, on_ceiling=lambda size: ceilings.learn("g", size))
    torch.cuda.set_per_process_memory_fraction(1.0)
    assert len(outcomes) == 32
    assert 0 < (ceilings.most("g") or 0) <= 10
