"""Records as confluent-kafka hands them out, made for a test, and a model to read them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from confluent_kafka import Message

from pipelines.stream.formats.choosing import Choice, Chosen, choose
from schemas.model_spec import ModelSpec, TensorSpec
from tests.unit.models.model_folders import add_model, onnx_bytes
from workers.loading import LoadedModel, load

AT_MS = 1_700_000_000_123
Headers = list[tuple[str, str | bytes | None]]


def record(value: bytes | None, headers: Headers | None = None, at: int = AT_MS) -> Message:
    return Message(topic="in", partition=0, offset=7, key=b"k", value=value, headers=headers, timestamp=(1, at))


def spec_of(**changes: Any) -> ModelSpec:
    """Takes x, answers y: two numbers each."""
    tensors = {name: (TensorSpec(name=name, dtype="float32", shape=(2,)),) for name in ("x", "y")}
    return ModelSpec(**{"name": "m", "inputs": tensors["x"], "outputs": tensors["y"], **changes})


def chosen(choice: Choice | None = None, **changes: Any) -> Chosen:
    return choose(choice or Choice(), spec_of(**changes), "3", "out", lambda: 0.0)


def as_json(value: Any) -> bytes:
    return json.dumps(value).encode()


def plus_one(root: Path, width: int = 2, dtype: str = "float32", **changes: Any) -> LoadedModel:
    """y = x + 1."""
    kind = {"float32": 1, "float64": 11, "int32": 6, "int64": 7}[dtype]
    tensors = {name: [{"name": name, "dtype": dtype, "shape": [width], **changes}] for name in ("x", "y")}
    version = add_model(
        root, {"1/model.onnx": onnx_bytes(width, dtype=kind)}, inputs=tensors["x"], outputs=tensors["y"]
    )
    return load(version, "cpu")


def floats(*values: float) -> bytes:
    return np.array(values, dtype="<f4").tobytes()
