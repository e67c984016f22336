"""PyTorch behind the model port."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

if os.environ.get("CI") != "true":  # in CI it must be there
    pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'forebay[torch]'")

import torch
from safetensors.torch import save, save_model

from pipelines.flow.served import Prepared
from pipelines.ports import OutOfMemory
from tests.unit.models.model_folders import add_model
from workers.errors import BadArtifact
from workers.loading import LoadedModel, load, warm

CODE = """
import torch
class Plus(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.one = torch.nn.Parameter(torch.zeros(2))
        self.drop = torch.nn.Dropout(0.5)
    def forward(self, x):
        assert torch.is_inference_mode_enabled() and not self.training
        if (x == 99).any():
            raise torch.OutOfMemoryError("CUDA out of memory")
        if (x == 98).any():
            raise RuntimeError("shapes do not match")
        return ANSWER
def load():
    return Plus()
"""


def code(answer: str = "self.drop(x) + self.one") -> str:
    return CODE.replace("ANSWER", answer)


def weights(**tensors: torch.Tensor) -> bytes:
    return bytes(save(tensors or {"one": torch.ones(2)}))


def loaded(root: Path, files: dict[str, bytes | str], **changes: Any) -> LoadedModel:
    version = add_model(root, files, runtime="torch", **changes)
    model = load(version, "cpu")
    warm(model, version)
    return model


def predict(model: LoadedModel, raw: bytes) -> list[Any]:
    (prepared,) = model.prepare([raw])
    assert isinstance(prepared, Prepared)
    return model.finish(model.predict([prepared.tensors]))


@pytest.mark.parametrize("answer", ["x + self.one", "(x + self.one,)", "{'y': x + self.one, 'more': x}"])
def test_a_tensor_a_tuple_or_a_dict(tmp_path: Path, answer: str) -> None:
    model = loaded(tmp_path, {"1/model.py": code(answer), "1/model.safetensors": weights()})
    assert predict(model, b'{"x":[1,2]}') == [b'{"y":[2.0,3.0]}']


def test_bfloat16_is_answered_as_float32(tmp_path: Path) -> None:
    model = loaded(tmp_path, {"1/model.py": code("(x + self.one).bfloat16()"), "1/model.safetensors": weights()})
    assert predict(model, b'{"x":[1,2]}') == [b'{"y":[2.0,3.0]}']


def test_code_for_all_versions_lies_beside_model_yaml_and_may_take_the_spec(tmp_path: Path) -> None:
    taking = code().replace("def load():", "def load(spec):\n    assert spec.name == 'm'")
    model = loaded(tmp_path, {"model.py": taking, "1/model.safetensors": weights()})
    assert predict(model, b'{"x":[1,2]}') == [b'{"y":[2.0,3.0]}']


def test_shared_tensors_load(tmp_path: Path) -> None:
    tied = code().replace("self.drop =", "self.also = self.one; self.drop =")
    module = torch.nn.Module()
    module.one = module.also = torch.nn.Parameter(torch.ones(2))
    save_model(module, str(tmp_path / "w"))
    model = loaded(tmp_path / "models", {"1/model.py": tied, "1/model.safetensors": (tmp_path / "w").read_bytes()})
    assert predict(model, b'{"x":[1,2]}') == [b'{"y":[2.0,3.0]}']


def test_out_of_memory_is_told_apart_from_the_models_own_errors(tmp_path: Path) -> None:
    model = loaded(tmp_path, {"1/model.py": code(), "1/model.safetensors": weights()})
    with pytest.raises(OutOfMemory):
        model.predict([{"x": np.array([99, 0], dtype=np.float32)}])
    with pytest.raises(RuntimeError, match="shapes do not match"):
        model.predict([{"x": np.array([98, 0], dtype=np.float32)}])


@pytest.mark.parametrize(
    ("files", "changes", "told"),
    [
        ({"1/model.safetensors": weights()}, {}, "m/1/model.py: no such file"),
        ({"1/model.py": code()}, {}, "m/1/model.safetensors: no such file"),
        ({"1/model.py": "x = 1", "1/model.safetensors": weights()}, {}, "expected a function load()"),
        ({"1/model.py": "def load(): return 1", "1/model.safetensors": weights()}, {}, "load() returned int"),
        ({"1/model.py": "def load(): 1/0", "1/model.safetensors": weights()}, {}, "load() raised ZeroDivisionError"),
        ({"1/model.py": code(), "1/model.safetensors": b"no"}, {}, "m/1/model.safetensors: "),
        ({"1/model.py": code(), "1/model.safetensors": weights(two=torch.ones(2))}, {}, 'Missing key(s)'),
        ({"1/model.py": code(), "1/model.safetensors": weights(one=torch.ones(3))}, {}, "size mismatch"),
        ({"1/model.py": code(), "1/w.pt": b"w"}, {"options": {"weights": "w.pt"}}, "save it as safetensors"),
        ({"1/model.py": code(), "1/model.safetensors": weights()}, {"options": {"compile": 1}}, "options.compile"),
        ({"1/model.py": code("x[:0]"), "1/model.safetensors": weights()}, {}, "has 0 rows for 32 inputs"),
        ({"1/model.py": code("{'z': x}"), "1/model.safetensors": weights()}, {}, "answers z, declared is y too"),
        ({"1/model.py": code("x * torch.nan"), "1/model.safetensors": weights()}, {}, "outputs.y: holds NaN"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_in_one_line(
    tmp_path: Path, files: dict[str, bytes | str], changes: dict[str, Any], told: str
) -> None:
    with pytest.raises(BadArtifact) as bad:
        loaded(tmp_path, files, **changes)
    assert told in str(bad.value)
    assert "\n" not in str(bad.value)


def test_a_model_that_was_saved_by_pickle_is_never_read(tmp_path: Path) -> None:
    """Also under a name that promises otherwise."""
    torch.save({"one": torch.ones(2)}, tmp_path / "w")
    with pytest.raises(BadArtifact, match="can run code"):
        loaded(tmp_path / "models", {"1/model.py": code(), "1/model.safetensors": (tmp_path / "w").read_bytes()})


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_no_cuda_here(tmp_path: Path) -> None:
    version = add_model(tmp_path, {"1/model.py": code(), "1/model.safetensors": weights()}, runtime="torch")
    with pytest.raises(BadArtifact, match="sees no CUDA device"):
        load(version, "cuda:0")
