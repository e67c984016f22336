"""The model of the benches of streams and scoring: a perceptron 16-64-32-1, weights by seed, as a model repository."""

from itertools import pairwise
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

NAME = "mlp"
WIDTHS = (16, 64, 32, 1)
FEATURES = WIDTHS[0]
BATCH = 1024
_SEED = 20_261
_SPEC = f"""\
name: {NAME}
description: A perceptron {"-".join(map(str, WIDTHS))} with random weights, for a bench.
runtime: onnx
inputs: [{{name: features, dtype: float32, shape: [{FEATURES}]}}]
outputs: [{{name: score, dtype: float32, shape: %s}}]
batching: {{max_batch_size: %d, max_delay_ms: 0}}
"""


def write_repository(folder: Path, batch: int = BATCH, more: str = "", flat: bool = False) -> Path:
    """The model's file within it. `more`: lines of model.yaml. `flat`: a score is a number, and not a list of one."""
    version = folder / NAME / "1"
    version.mkdir(parents=True)
    (folder / NAME / "model.yaml").write_text(_SPEC % ([] if flat else [1], batch) + more)
    path = version / "model.onnx"
    path.write_bytes(serialized(flat))
    return path


def serialized(flat: bool = False) -> bytes:
    """float32[batch, 16] → float32[batch, 1], or float32[batch]: dense layers, ReLU between them."""
    chance = np.random.default_rng(_SEED)
    nodes, weights, name = [], [], "features"
    for layer, (wide, narrow) in enumerate(pairwise(WIDTHS)):
        last = layer == len(WIDTHS) - 2
        given, summed = name, ("column" if flat else "score") if last else f"sum{layer}"
        matrix = chance.normal(0, wide**-0.5, (wide, narrow)).astype(np.float32)
        weights += [numpy_helper.from_array(matrix, f"w{layer}"), _bias(f"b{layer}", narrow)]
        nodes.append(helper.make_node("Gemm", [given, f"w{layer}", f"b{layer}"], [summed]))
        if not last:
            name = f"hidden{layer}"
            nodes.append(helper.make_node("Relu", [summed], [name]))
    if flat:
        nodes.append(helper.make_node("Squeeze", ["column", "axis"], ["score"]))
        weights.append(numpy_helper.from_array(np.array([1]), "axis"))
    x = helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", FEATURES])
    y = helper.make_tensor_value_info("score", TensorProto.FLOAT, ["batch"] if flat else ["batch", WIDTHS[-1]])
    graph = helper.make_graph(nodes, NAME, [x], [y], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


def _bias(name: str, width: int) -> TensorProto:
    return numpy_helper.from_array(np.full(width, 0.01, dtype=np.float32), name)
