"""ONNX Runtime behind the model port."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from onnx import TensorProto

from pipelines.flow.served import HookFailed, Prepared
from pipelines.ports import InvalidInput, OutOfMemory
from tests.unit.models.model_folders import add_model, onnx_bytes
from workers.errors import BadArtifact, RuntimeMissing
from workers.loading import LoadedModel, availability, load, warm
from workers.runtimes.onnx import OnnxModel
from workers.runtimes.onnx_external import check_external_data


def loaded(root: Path, files: dict[str, bytes | str] | None = None, **changes: Any) -> LoadedModel:
    version = add_model(root, {"1/model.onnx": onnx_bytes(), **(files or {})}, **changes)
    model = load(version, "cpu")
    warm(model, version)
    return model


def run(model: LoadedModel, *raws: bytes) -> list[Any]:
    prepared = model.prepare(raws)
    assert all(isinstance(item, Prepared) for item in prepared), prepared
    return model.finish(model.predict([item.tensors for item in prepared if isinstance(item, Prepared)]))


def refused(root: Path, files: dict[str, bytes | str], **changes: Any) -> str:
    with pytest.raises(BadArtifact) as bad:
        loaded(root, files, **changes)
    assert "\n" not in str(bad.value)
    return str(bad.value).replace(f"{root}/", "")


def test_a_batch_comes_back_in_order(tmp_path: Path) -> None:
    raws = [b'{"x":[%d,0]}' % n for n in range(5)]
    assert run(loaded(tmp_path), *raws) == [b'{"y":[%d.0,1.0]}' % (n + 1) for n in range(5)]


@pytest.mark.parametrize(
    ("model", "told"),
    [
        (onnx_bytes(names=("a", "y")), "takes inputs a, model.yaml declares x"),
        (onnx_bytes(names=("x", "b")), "gives outputs b, model.yaml declares y"),
        (onnx_bytes(dtype=TensorProto.DOUBLE), "input 'x' is float64, model.yaml declares float32"),
        (onnx_bytes(3), "input 'x' has shape [batch, 3], model.yaml declares [2] after the batch dimension"),
        (onnx_bytes(batch=1), "its batch dimension is fixed; export it with one that varies, or set batching"),
        (b"", "empty, expected an ONNX model"),
        (b"not a model", "damaged, expected an ONNX model"),
        (onnx_bytes()[:-5], "damaged, expected an ONNX model"),
        (b"\x08\x08", "not a model that ONNX Runtime can load"),
    ],
)
def test_a_file_that_does_not_fit(tmp_path: Path, model: bytes, told: str) -> None:
    assert refused(tmp_path, {"1/model.onnx": model}).startswith("m/1/model.onnx: ")
    assert told in refused(tmp_path / "again", {"1/model.onnx": model})


def test_a_fixed_batch_of_one_is_served_one_by_one(tmp_path: Path) -> None:
    model = loaded(tmp_path, {"1/model.onnx": onnx_bytes(batch=1)}, batching={"max_batch_size": 1})
    assert run(model, b'{"x":[1,2]}') == [b'{"y":[2.0,3.0]}']


@pytest.mark.parametrize("where", ["../one.bin", "link.bin", "below/../../one.bin", "/etc/hostname"])
def test_external_data_stays_in_the_folder(tmp_path: Path, where: str) -> None:
    """Told by us before any ONNX Runtime, old or new, opens a file."""
    folder = tmp_path / "m" / "1"
    (folder / "below").mkdir(parents=True)
    (tmp_path / "m" / "one.bin").write_bytes(np.ones(1, dtype=np.float32).tobytes())
    (folder / "link.bin").symlink_to(tmp_path / "m" / "one.bin")
    (folder / "model.onnx").write_bytes(onnx_bytes(external=where))
    with pytest.raises(BadArtifact, match="leads out of the folder"):
        check_external_data(folder / "model.onnx", folder)


def test_external_data_in_the_folder_is_read(tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {
        "1/model.onnx": onnx_bytes(external="one.bin"),
        "1/one.bin": np.full(1, 5, dtype=np.float32).tobytes(),
    }
    assert run(loaded(tmp_path, files), b'{"x":[1,2]}') == [b'{"y":[6.0,7.0]}']


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"threads": 1}, "options.threads: no such option of onnx, there are: intra_op_threads"),
        ({"intra_op_threads": "2"}, "options.intra_op_threads: expected a whole number from 1, got '2'"),
        ({"intra_op_threads": 0}, "options.intra_op_threads: expected a whole number from 1, got 0"),
        ({"file": "../x.onnx"}, "leads out of the folder"),
        ({"file": "absent.onnx"}, "m/1/absent.onnx: no such file"),
    ],
)
def test_bad_options(tmp_path: Path, options: dict[str, Any], told: str) -> None:
    assert told in refused(tmp_path, {}, options=options)


@pytest.mark.parametrize("device", ["gpu", "cuda:x", "cpu:-1"])
def test_an_unknown_device(tmp_path: Path, device: str) -> None:
    version = add_model(tmp_path, {"1/model.onnx": onnx_bytes()})
    with pytest.raises(BadArtifact, match="expected auto, cpu, cuda or cuda:<number>"):
        load(version, device)


HOOKS = """
import numpy as np
PADS = {"x": 0}
def preprocess(inputs):
    words = inputs["text"].item().split()
    if not words:
        raise ValueError("no words\\n in \\x00 it")
    if words == ["break"]:
        raise KeyError("vocabulary")
    if words == ["wrong"]:
        return [1]
    return {"x": np.array([len(word) for word in words], dtype=np.float32)}
def cost(inputs):
    return float("nan") if inputs["x"][0] == 13 else len(inputs["x"])
def postprocess(outputs):
    return {"sum": outputs["y"].sum()}
"""
TEXT: dict[str, Any] = {
    "inputs": [{"name": "text", "dtype": "string"}],
    "outputs": [{"name": "sum", "dtype": "float32"}],
    "hooks": "hooks.py",
    "example": {"text": "a b"},
}


def test_hooks_change_names_and_shapes_and_lengths_are_padded(tmp_path: Path) -> None:
    model = loaded(tmp_path, {"hooks.py": HOOKS, "1/model.onnx": onnx_bytes("n")}, **TEXT)  # type: ignore[arg-type]
    short, long = model.prepare([b'{"text":"ab c"}', b'{"text":"a b c d"}'])
    assert isinstance(short, Prepared)
    assert isinstance(long, Prepared)
    assert (short.cost, long.cost, short.likeness == long.likeness) == (2, 4, True)
    assert model.finish(model.predict([short.tensors, long.tensors])) == [b'{"sum":7.0}', b'{"sum":8.0}']


def test_a_hook_refuses_breaks_or_answers_nonsense(tmp_path: Path) -> None:
    model = loaded(tmp_path, {"hooks.py": HOOKS, "1/model.onnx": onnx_bytes("n")}, **TEXT)  # type: ignore[arg-type]
    refusal, broke, wrong, weightless = model.prepare(
        [b'{"text":""}', b'{"text":"break"}', b'{"text":"wrong"}', b'{"text":"thirteenchars"}']
    )
    assert isinstance(refusal, InvalidInput)
    assert "\x00" not in str(refusal)
    assert "no words in" in str(refusal)
    assert isinstance(broke, HookFailed)
    assert "KeyError: 'vocabulary'" in broke.error
    assert isinstance(wrong, HookFailed)
    assert "answered list, expected a dict of numpy arrays" in wrong.error
    assert isinstance(weightless, HookFailed)
    assert "expected a finite number above 0" in weightless.error


def test_declared_padding_and_default_cost(tmp_path: Path) -> None:
    varying = [{"name": "x", "dtype": "float32", "shape": [-1], "pad": -1}]
    outputs = [{"name": "y", "dtype": "float32", "shape": [-1]}]
    model = loaded(tmp_path, {"1/model.onnx": onnx_bytes("n")}, inputs=varying, outputs=outputs)  # type: ignore[arg-type]
    assert run(model, b'{"x":[1]}', b'{"x":[1,2,3]}') == [b'{"y":[2.0,0.0,0.0]}', b'{"y":[2.0,3.0,4.0]}']
    short, long = model.prepare([b'{"x":[1]}', b'{"x":[1,2,3]}'])
    assert isinstance(short, Prepared)
    assert isinstance(long, Prepared)
    assert (short.cost, long.cost, short.likeness == long.likeness) == (1, 3, True)


def test_without_padding_only_like_shapes_go_together(tmp_path: Path) -> None:
    varying = [{"name": "x", "dtype": "float32", "shape": [-1]}]
    outputs = [{"name": "y", "dtype": "float32", "shape": [-1]}]
    model = loaded(tmp_path, {"1/model.onnx": onnx_bytes("n")}, inputs=varying, outputs=outputs)  # type: ignore[arg-type]
    short, long = model.prepare([b'{"x":[1]}', b'{"x":[1,2,3]}'])
    assert isinstance(short, Prepared)
    assert isinstance(long, Prepared)
    assert short.likeness != long.likeness


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"batching": {"max_batch_cost": 0.5}}, "one item costs 1, more than batching.max_batch_cost (0.5)"),
        ({"hooks": "hooks.py", "outputs": [{"name": "z", "dtype": "int8"}]}, "warm-up answered wrongly: outputs.y"),
    ],
)
def test_the_warm_up_shows_what_never_would_run(tmp_path: Path, changes: dict[str, Any], told: str) -> None:
    hooks = "def postprocess(outputs): return outputs"
    assert told in refused(tmp_path, {"hooks.py": hooks}, **changes)


def test_the_runtime_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    version = add_model(tmp_path, {"1/model.onnx": onnx_bytes()})
    assert availability(version) is None
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "pip install 'forebay[cpu] or forebay[gpu]'" in (availability(version) or "")
    with pytest.raises(RuntimeMissing, match="model m version 1"):
        load(version)


def test_io_binding_answers_as_run_does(tmp_path: Path) -> None:
    """On the CPU here; with a CUDA device the same calls bind to it."""
    path = tmp_path / "model.onnx"
    path.write_bytes(onnx_bytes())
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    items = [{"x": np.array([n, 0], dtype=np.float32)} for n in range(3)]
    bound, run_plainly = (OnnxModel(session, ["y"], {}, on_cuda).predict(items) for on_cuda in (True, False))
    assert [item["y"].tolist() for item in bound] == [item["y"].tolist() for item in run_plainly]


class FailingSession:
    def __init__(self, fault: Exception) -> None:
        self._fault = fault

    def run(self, outputs: list[str], batch: Any) -> Any:
        raise self._fault


@pytest.mark.parametrize(
    ("fault", "raised"),
    [
        (RuntimeError("BFCArena: Available memory of 10 is smaller than requested bytes"), OutOfMemory),
        (RuntimeError("Failed to allocate memory for requested buffer of size 99"), OutOfMemory),
        (RuntimeError("std::bad_alloc"), OutOfMemory),
        (MemoryError(), OutOfMemory),
        (RuntimeError("Got invalid dimensions for input"), RuntimeError),
    ],
)
def test_out_of_memory_is_told_apart(fault: Exception, raised: type[Exception]) -> None:
    model = OnnxModel(FailingSession(fault), ["y"], {}, on_cuda=False)
    with pytest.raises(raised) as got:
        model.predict([{"x": np.zeros(2)}])
    assert isinstance(got.value, OutOfMemory) == (raised is OutOfMemory)
