"""Trains the demo model: handwritten digits (scikit-learn's shipped data set, 1,797 images of 8 × 8), a small MLP.

    python models/digits/train.py

writes `1/model.onnx`, `2/model.safetensors` (the same network), `heldout.jsonl` (the rows that were not trained on) and
the digests in `model.yaml`. Needs scikit-learn, onnx and safetensors (`pip install forebay[dev,torch]`). Deterministic.
"""

import hashlib
import json
import re
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier

HERE = Path(__file__).parent
SEED = 20_261_121
HELD_OUT = 360
HIDDEN = (64, 32)
SCALE = 1 / 16
"""Pixels are 0 to 16; the network takes them as they are and scales inside."""

Layers = list[tuple[np.ndarray, np.ndarray]]


def main() -> None:
    pixels, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(SEED).permutation(len(pixels))
    held_out, train = order[:HELD_OUT], order[HELD_OUT:]
    layers = fit(pixels[train], labels[train])
    accuracy = float((predict(layers, pixels[held_out]).argmax(axis=1) == labels[held_out]).mean())
    write_onnx(layers)
    write_safetensors(layers)
    write_held_out(pixels[held_out], labels[held_out])
    write_digests()
    print(f"accuracy on {HELD_OUT} held-out rows: {accuracy:.4f}")


def fit(pixels: np.ndarray, labels: np.ndarray) -> Layers:
    """Weights (inputs × outputs) and biases, float32, layer by layer."""
    network = MLPClassifier(HIDDEN, random_state=SEED, max_iter=400, alpha=1e-3)
    network.fit(pixels * SCALE, labels)
    return [
        (w.astype(np.float32), b.astype(np.float32)) for w, b in zip(network.coefs_, network.intercepts_, strict=True)
    ]


def predict(layers: Layers, pixels: np.ndarray) -> np.ndarray:
    x = pixels.astype(np.float32) * np.float32(SCALE)
    for n, (weights, bias) in enumerate(layers):
        x = x @ weights + bias
        if n < len(layers) - 1:
            x = np.maximum(x, 0)
    x = np.exp(x - x.max(axis=1, keepdims=True))
    return x / x.sum(axis=1, keepdims=True)


def write_onnx(layers: Layers) -> None:
    nodes = [helper.make_node("Mul", ["pixels", "scale"], ["x0"])]
    weights = [numpy_helper.from_array(np.float32(SCALE), "scale")]
    for n, (matrix, bias) in enumerate(layers):
        weights += [numpy_helper.from_array(matrix, f"w{n}"), numpy_helper.from_array(bias, f"b{n}")]
        last = n == len(layers) - 1
        nodes.append(helper.make_node("Gemm", [f"x{n}", f"w{n}", f"b{n}"], ["logits" if last else f"h{n}"]))
        if not last:
            nodes.append(helper.make_node("Relu", [f"h{n}"], [f"x{n + 1}"]))
    nodes.append(helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1))
    graph = helper.make_graph(
        nodes,
        "digits",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["batch", 64])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", 10])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    (HERE / "1").mkdir(exist_ok=True)
    (HERE / "1" / "model.onnx").write_bytes(model.SerializeToString(deterministic=True))


def write_safetensors(layers: Layers) -> None:
    """Named as `2/model.py` names its layers; torch keeps matrices as outputs × inputs."""
    (HERE / "2").mkdir(exist_ok=True)
    tensors = {f"layers.{n}.weight": np.ascontiguousarray(matrix.T) for n, (matrix, _) in enumerate(layers)}
    tensors |= {f"layers.{n}.bias": bias for n, (_, bias) in enumerate(layers)}
    (HERE / "2" / "model.safetensors").write_bytes(save(tensors))


def write_held_out(pixels: np.ndarray, labels: np.ndarray) -> None:
    rows = [
        json.dumps({"inputs": {"pixels": row.astype(int).tolist()}, "label": int(label)})
        for row, label in zip(pixels, labels, strict=True)
    ]
    (HERE / "heldout.jsonl").write_text("\n".join(rows) + "\n")


def write_digests() -> None:
    text = (HERE / "model.yaml").read_text()
    for name in ("1/model.onnx", "2/model.safetensors", "2/model.py"):
        digest = hashlib.sha256((HERE / name).read_bytes()).hexdigest()
        file = re.escape(name.partition("/")[2])
        text = re.sub(rf"({file}: )[0-9a-f]*", rf"\g<1>{digest}", text)
    (HERE / "model.yaml").write_text(text)


if __name__ == "__main__":
    main()
