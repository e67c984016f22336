"""Batches of rows: which of them go the quick way, and which one by one."""

import random
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest

from pipelines.flow.served import Prepared
from pipelines.ports import Tensors
from pipelines.scoring.answers import AnswerWriter
from pipelines.scoring.columns import ColumnReader
from pipelines.scoring.placed import Placed
from pipelines.scoring.predicting import Answered, Predictor
from pipelines.scoring.suspects import Suspects
from schemas.model_spec import ModelSpec

SPEC = ModelSpec.model_validate(
    {
        "name": "m",
        "inputs": [{"name": "x", "dtype": "float32"}],
        "outputs": [{"name": "y", "dtype": "float32"}],
        "batching": {"max_batch_size": 4},
        "limits": {"max_attempts": 1},
    }
)
SILENT, LOUD = 100.0, 200.0
"""Inputs whose answer is no number, and which the model raises for."""


class Halving:
    """Half of x; keeps which rows went which way."""

    name, version, columnar, hooked = "m", "1", True, False
    limits, batching = SPEC.limits, SPEC.batching

    def __init__(self) -> None:
        self.quick: list[int] = []
        self.slow: set[float] = set()

    def prepare(self, raws: Sequence[Tensors]) -> list[Prepared]:
        return [Prepared(raw) for raw in raws]

    def predict(self, inputs: Sequence[Tensors]) -> list[Tensors]:
        self.slow |= {float(given["x"]) for given in inputs}
        return [{"y": _half(given["x"])} for given in inputs]

    def predict_batch(self, batch: Tensors) -> Tensors:
        self.quick.append(len(batch["x"]))
        return {"y": _half(batch["x"])}

    def finish(self, outputs: Sequence[Tensors]) -> list[Tensors]:
        return list(AnswerWriter(SPEC).each(outputs))  # type: ignore[arg-type]  # what does not fit is an outcome, too


def _half(x: np.ndarray) -> np.ndarray:
    if np.any(x == LOUD):
        raise RuntimeError("out of range")
    return np.where(x == SILENT, np.float32("nan"), x / 2).astype(np.float32)


def answers(model: Halving, x: Sequence[float]) -> Answered:
    batch = pa.RecordBatch.from_pydict({"x": pa.array(x, pa.float32())})
    placed = Placed(batch, np.zeros(len(x), np.int32), np.arange(len(x)))
    predictor = Predictor(
        model, ColumnReader(SPEC, {}, each=False), AnswerWriter(SPEC), ["x"], random.Random(1), lambda s: None
    )
    (answered,) = predictor.answers([placed], Suspects(), lambda batch, row: None, lambda: False)
    return answered


def test_what_is_well_goes_in_batches_of_the_models_size() -> None:
    model = Halving()
    found = answers(model, [float(n) for n in range(10)])
    assert found.output.column("y").to_pylist() == [n / 2 for n in range(10)]
    assert (model.quick, model.slow) == ([4, 4, 2], set())


@pytest.mark.parametrize("bad", [SILENT, LOUD])
def test_only_the_batch_that_something_is_off_with_goes_the_slow_way(bad: float) -> None:
    model, x = Halving(), [float(n) for n in range(10)]
    x[5] = bad
    found = answers(model, x)
    good = [n for n in x if n != bad]
    assert found.output.column("x").to_pylist() == good
    assert found.output.column("y").to_pylist() == [n / 2 for n in good]
    assert [(each.file, each.row) for each in found.rejects] == [(0, 5)]
    assert found.read == 10
    assert model.quick == [4, 4, 2]
    assert model.slow == {4.0, bad, 6.0, 7.0}


def test_no_row_is_left() -> None:
    found = answers(Halving(), [LOUD] * 5)
    assert found.output.num_rows == 0
    assert found.output.schema == pa.schema([("x", pa.float32()), ("y", pa.float32())])
    assert [each.row for each in found.rejects] == [0, 1, 2, 3, 4]
