"""The model `large`: answers what it was given, however much that is."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import yaml
from onnx import TensorProto, helper
from sqlalchemy import text

from pipelines.store.opening import open_database, open_store
from tests.e2e.processes import Place, place

NAME = "large"
COUNT = 40_000
"""Numbers of an input: some 230 KB of JSON, and as much of a result."""


def inputs(n: int, count: int = COUNT) -> dict[str, list[float]]:
    return {"x": [float(n), *([0.25] * (count - 1))]}


def body(n: int, count: int = COUNT) -> bytes:
    return msgspec.json.encode({"model": NAME, "inputs": inputs(n, count)})


def write(repository: Path) -> None:
    folder = repository / NAME
    (folder / "1").mkdir(parents=True)
    spec = {
        "name": NAME,
        "inputs": [{"name": "x", "dtype": "float32", "shape": [-1]}],
        "outputs": [{"name": "y", "dtype": "float32", "shape": [-1]}],
        "batching": {"max_batch_size": 4},
        "example": {"x": [0.0]},
    }
    (folder / "model.yaml").write_text(yaml.safe_dump(spec))
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", "length"]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], NAME, [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    (folder / "1" / "model.onnx").write_bytes(model.SerializeToString())


@contextmanager
def ground(store: str | None, **settings: str) -> Iterator[Place]:
    """`store`: None for SQLite under home."""
    with TemporaryDirectory(prefix="fb-") as named:
        folder = Path(named)
        write(folder / "models")
        with place(folder, folder / "models", store, **settings) as there:
            open_store(there.store).close()
            yield there


def refs(there: Place) -> list[tuple[str | None, str | None]]:
    """Of every row, what it names."""
    db = open_database(there.store)
    try:
        found = db.read(lambda c: c.execute(text("SELECT inputs_ref, result_ref FROM jobs ORDER BY seq")).all())
    finally:
        db.close()
    return [(row[0], row[1]) for row in found]
