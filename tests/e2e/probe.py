"""The model `probe`: a pure function of its input, and on demand every way to misbehave.

It takes an item's number `n` and what the item does, `kind`; it answers f(n), so that a result crossed between two jobs
is found out. Hooks run in the worker: `postprocess` while the batch is running, after its start was counted, and
`preprocess` at intake. Every run is appended to `runs.log`, outside of what gets killed.
"""

from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from onnx import TensorProto, helper, numpy_helper

NAME = "probe"
RUNS = "runs.log"
GO = "go"


class Kind(IntEnum):
    GOOD = 0
    SLOW = 1
    """Some milliseconds."""
    ABORT = 2
    """Ends the process, in the running batch."""
    HANG = 3
    """Never ends."""
    ABORT_DECODING = 4
    """Ends the process at intake."""
    WAIT = 5
    """Holds its batch until the file `go` is in the model's folder."""
    HANG_DECODING = 6
    """Never ends, at intake."""
    ERROR = 99
    """Out of range: the model raises for the whole batch that it is in."""


def f(n: int) -> int:
    """What the model answers."""
    return (n * 7919 + 13) ^ 0x5A5A


_HOOKS = """
import os
import time
from pathlib import Path

HERE = Path(__file__).parent
RUNS = os.open(HERE / "runs.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
GO = HERE / "go"


def preprocess(inputs):
    if int(inputs["x"][1]) == 4:
        os.abort()
    while int(inputs["x"][1]) == 6:
        time.sleep(1)
    return inputs


def postprocess(outputs):
    n, kind, answer = (int(value) for value in outputs["y"])
    os.write(RUNS, b"%d %d\\n" % (os.getpid(), n))
    if kind == 1:
        time.sleep(SLOW_S)
    if kind == 2:
        os.abort()
    while kind == 3:
        time.sleep(1)
    while kind == 5 and not GO.exists():
        time.sleep(0.01)
    return {"y": outputs["y"][2:]}
"""


def write(repository: Path, *, slow_s: float = 0.002, **limits: Any) -> Path:
    """The folder of the model in this repository. `slow_s`: how long an item of Kind.SLOW takes; `limits`: of model.yaml,
    and `max_batch_size`."""
    folder = repository / NAME
    (folder / "1").mkdir(parents=True)
    spec = {
        "name": NAME,
        "inputs": [{"name": "x", "dtype": "int64", "shape": [2]}],
        "outputs": [{"name": "y", "dtype": "int64", "shape": [1]}],
        "hooks": "hooks.py",
        "batching": {"max_batch_size": limits.pop("max_batch_size", 32)},
        "limits": {"retry_base_s": 0.02, "retry_max_s": 0.1, **limits},
        "aliases": {"production": 1},
        "example": {"x": [0, 0]},
    }
    (folder / "model.yaml").write_text(yaml.safe_dump(spec))
    (folder / "hooks.py").write_text(f"SLOW_S = {slow_s}\n{_HOOKS}")
    (folder / "1" / "model.onnx").write_bytes(_onnx())
    return folder


def inputs(n: int, kind: Kind = Kind.GOOD) -> dict[str, Any]:
    return {"x": [n, int(kind)]}


def runs(folder: Path) -> list[tuple[int, int]]:
    """(pid, n) of every run, in order; a line that was cut off by a kill is left out."""
    path = folder / RUNS
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    return [
        (int(pid), int(n)) for pid, _, n in (line.rstrip("\n").partition(" ") for line in lines if line.endswith("\n"))
    ]


def _onnx() -> bytes:
    """y = [n, kinds[kind], f(n)]: Gather raises where `kind` is out of range. XOR is left to what ONNX has for int64."""
    constants = {
        "c_n": np.array([0], np.int64),
        "c_kind": np.array([1], np.int64),
        "factor": np.array([7919], np.int64),
        "plus": np.array([13], np.int64),
        "mask": np.array([0x5A5A], np.int64),
        "kinds": np.arange(16, dtype=np.int64),
    }
    nodes = [
        helper.make_node("Gather", ["x", "c_n"], ["n"], axis=1),
        helper.make_node("Gather", ["x", "c_kind"], ["kind"], axis=1),
        helper.make_node("Gather", ["kinds", "kind"], ["known"], axis=0),
        helper.make_node("Mul", ["n", "factor"], ["scaled"]),
        helper.make_node("Add", ["scaled", "plus"], ["shifted"]),
        helper.make_node("BitwiseXor", ["shifted", "mask"], ["answer"]),
        helper.make_node("Concat", ["n", "known", "answer"], ["y"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        NAME,
        [helper.make_tensor_value_info("x", TensorProto.INT64, ["batch", 2])],
        [helper.make_tensor_value_info("y", TensorProto.INT64, ["batch", 3])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    return bytes(model.SerializeToString())
