"""Small models, written for a test."""

from pathlib import Path
from typing import Any

import numpy as np
import yaml
from onnx import TensorProto, helper, numpy_helper

from pipelines.catalog import Catalog, ModelVersion

FLOAT = TensorProto.FLOAT


def onnx_bytes(
    width: int = 2,
    *,
    batch: int | str = "batch",
    dtype: int = FLOAT,
    names: tuple[str, str] = ("x", "y"),
    external: str | None = None,
) -> bytes:
    """y = x + 1. `external`: where the file says that the 1 is kept."""
    one = numpy_helper.from_array(np.ones(1, dtype=helper.tensor_dtype_to_np_dtype(dtype)), "one")
    if external is not None:
        one.ClearField("raw_data")
        one.data_location = TensorProto.EXTERNAL
        one.external_data.add(key="location", value=external)
    x, y = (helper.make_tensor_value_info(name, dtype, [batch, width]) for name in names)
    graph = helper.make_graph([helper.make_node("Add", [names[0], "one"], [names[1]])], "g", [x], [y], [one])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


def add_model(root: Path, files: dict[str, bytes | str], **changes: Any) -> ModelVersion:
    """Version 1 of `m`; `files` by path below the model's folder."""
    spec = {
        "name": "m",
        "inputs": [{"name": "x", "dtype": "float32", "shape": [2]}],
        "outputs": [{"name": "y", "dtype": "float32", "shape": [2]}],
        **changes,
    }
    folder = root / "m"
    (folder / "1").mkdir(parents=True)
    (folder / "model.yaml").write_text(yaml.safe_dump(spec))
    for name, content in files.items():
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    catalog = Catalog.open(root)
    catalog.check()
    return catalog.resolve("m", "1")
