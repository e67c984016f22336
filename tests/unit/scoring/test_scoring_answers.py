"""Outputs as columns: what is declared is what is written, and one place judges them for JSON and for columns."""

from pathlib import Path
from typing import Any, get_args

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.flow.served import InvalidOutput
from pipelines.inputs.kinds import NUMPY
from pipelines.outputs import OutputCodec
from pipelines.ports import Tensors
from pipelines.scoring.answers import AnswerWriter
from schemas.model_spec import DType, ModelSpec, TensorSpec


def model(*outputs: dict[str, Any]) -> ModelSpec:
    return ModelSpec.model_validate({"name": "m", "inputs": [{"name": "x", "dtype": "float32"}], "outputs": outputs})


def of(dtype: str, *shape: int, **more: Any) -> ModelSpec:
    return model({"name": "y", "dtype": dtype, "shape": shape, **more})


def stacked(spec: ModelSpec, *tensors: np.ndarray, count: int) -> list[pa.Array] | None:
    outputs = {tensor.name: given for tensor, given in zip(spec.outputs, tensors, strict=True)}
    return AnswerWriter(spec).stacked(outputs, count)


def test_the_schema_is_what_is_declared() -> None:
    spec = model(
        {"name": "a", "dtype": "float32"},
        {"name": "b", "dtype": "float16", "shape": [3]},
        {"name": "c", "dtype": "int64", "shape": [2, -1]},
        {"name": "d", "dtype": "string", "shape": [-1]},
        {"name": "e", "dtype": "bool", "shape": [-1, 2]},
    )
    assert AnswerWriter(spec).schema == pa.schema(
        [
            ("a", pa.float32()),
            ("b", pa.list_(pa.float16(), 3)),
            ("c", pa.list_(pa.list_(pa.int64()), 2)),
            ("d", pa.list_(pa.string())),
            ("e", pa.list_(pa.list_(pa.bool_(), 2))),
        ]
    )


@pytest.mark.parametrize("dtype", [dtype for dtype in get_args(DType) if dtype != "string"])
def test_every_dtype_goes_to_parquet_and_back(dtype: DType, tmp_path: Path) -> None:
    spec = of(dtype, 2)
    low, high = (0, 1) if dtype == "bool" or dtype.startswith("float") else limits(dtype)
    tensor = np.array([[low, high], [high, low]], dtype=NUMPY[dtype])
    (column,) = stacked(spec, tensor, count=2) or []
    pq.write_table(pa.table([column], schema=AnswerWriter(spec).schema), tmp_path / "y.parquet")
    back = pq.read_table(tmp_path / "y.parquet")
    assert back.schema == AnswerWriter(spec).schema
    assert back.column("y").to_pylist() == tensor.tolist()


def limits(dtype: str) -> tuple[int, int]:
    found = np.iinfo(dtype)
    return int(found.min), int(found.max)


def test_nan_that_is_allowed_stays_nan() -> None:
    tensor = np.array([[1, np.nan], [np.inf, -np.inf]], dtype=np.float32)
    (column,) = stacked(of("float32", 2, nan=True), tensor, count=2) or []
    assert column.null_count == column.flatten().null_count == 0
    assert repr(column.to_pylist()) == "[[1.0, nan], [inf, -inf]]"
    assert stacked(of("float32", 2), tensor, count=2) is None


@pytest.mark.parametrize(
    "tensor",
    [
        np.zeros((3, 2), dtype=np.float32),  # a row too many
        np.zeros((2, 3), dtype=np.float32),
        np.zeros(2, dtype=np.float32),
        np.zeros((2, 2), dtype=np.complex64),
        np.full((2, 2), 1e39),
        np.zeros(()),
    ],
)
def test_stacked_outputs_that_do_not_fit(tensor: np.ndarray) -> None:
    assert stacked(of("float32", 2), tensor, count=2) is None


def test_stacked_names_are_those_declared() -> None:
    writer, tensor = AnswerWriter(of("float32")), np.zeros(1, dtype=np.float32)
    assert writer.stacked({"z": tensor}, 1) is None
    assert writer.stacked({"y": tensor, "z": tensor}, 1) is None
    assert writer.stacked({}, 1) is None


def test_stacked_strings_and_lengths_that_vary() -> None:
    spec = model({"name": "s", "dtype": "string", "shape": [1]}, {"name": "v", "dtype": "int8", "shape": [-1, 2]})
    strings, varying = np.array([["a"], ["b\0"]], dtype=object), np.arange(12, dtype=np.int64).reshape(2, 3, 2)
    columns = stacked(spec, strings, varying, count=2)
    assert columns is not None
    assert [column.to_pylist() for column in columns] == [[["a"], ["b\0"]], varying.tolist()]
    assert [column.type for column in columns] == AnswerWriter(spec).schema.types


def test_each_tells_the_outputs_that_do_not_fit_and_columns_takes_the_others() -> None:
    spec = model({"name": "p", "dtype": "float32", "shape": [2]}, {"name": "tags", "dtype": "string", "shape": [-1]})
    writer, broken = AnswerWriter(spec), InvalidOutput("postprocess failed")
    outputs: list[Any] = [
        {"p": [1, 2], "tags": ["a", "b"]},
        {"p": [1, np.nan], "tags": []},
        broken,
        {"p": np.zeros(2), "tags": np.array([], dtype=object)},
        {"p": [1, 2]},
        {"p": [1, 2], "tags": ["\ud800"]},
    ]
    answers = writer.each(outputs)
    assert [answer.error if isinstance(answer, InvalidOutput) else None for answer in answers] == [
        None,
        "outputs.p: holds NaN or an infinity (model.yaml allows them with `nan: true`)",
        "postprocess failed",
        None,
        "outputs.tags: missing",
        "outputs.tags: holds half a surrogate pair, expected valid Unicode",
    ]
    columns = writer.columns([answer for answer in answers if not isinstance(answer, InvalidOutput)])
    assert [column.to_pylist() for column in columns] == [[[1, 2], [0, 0]], [["a", "b"], []]]
    assert [column.type for column in columns] == writer.schema.types


@pytest.mark.parametrize(
    ("dtype", "shape"), [("float32", []), ("bool", [2]), ("string", []), ("int8", [-1, 2]), ("int8", [2, -1])]
)
def test_no_rows(dtype: str, shape: list[int]) -> None:
    spec = of(dtype, *shape)
    writer = AnswerWriter(spec)
    empty = np.zeros((0, *(abs(size) for size in shape)), dtype=NUMPY[spec.outputs[0].dtype])
    for columns in (writer.columns([]), stacked(spec, empty, count=0)):
        assert columns is not None
        assert [(len(column), column.type) for column in columns] == [(0, writer.schema.field("y").type)]
    assert writer.each([]) == []


outputs = st.builds(
    lambda dtype, shape: TensorSpec(name="y", dtype=dtype, shape=shape),
    st.sampled_from(["float32", "int8", "bool", "string"]),
    st.lists(st.sampled_from([-1, 1, 2]), max_size=3).map(tuple),
)


@settings(max_examples=100, deadline=None)
@given(outputs, st.data())
def test_columns_say_what_json_says(output: TensorSpec, data: st.DataObject) -> None:
    """Of any shape, and of one that is off now and then."""
    spec = ModelSpec(name="m", inputs=(TensorSpec(name="x", dtype="int8"),), outputs=(output,))
    elements: st.SearchStrategy[Any] = {
        "float32": st.floats(width=32), "int8": st.integers(-130, 127), "bool": st.booleans(), "string": st.text(max_size=2),
    }[output.dtype]  # fmt: skip
    given_outputs: list[Tensors] = []
    for _ in range(data.draw(st.integers(0, 3))):
        shape = [data.draw(st.integers(0, 3)) if size == -1 else size for size in output.shape]
        count = int(np.prod(shape, dtype=int))
        flat = np.array(
            data.draw(st.lists(elements, min_size=count, max_size=count)),
            dtype=object if output.dtype == "string" else None,
        )
        given_outputs.append({"y": flat.reshape(shape)})
    writer, as_json = AnswerWriter(spec), OutputCodec(spec).encode_many(given_outputs)
    answers = writer.each(given_outputs)
    assert [a for a in answers if isinstance(a, InvalidOutput)] == [a for a in as_json if isinstance(a, InvalidOutput)]
    (column,) = writer.columns([answer for answer in answers if not isinstance(answer, InvalidOutput)])
    assert column.type == writer.schema.field("y").type
    good = [msgspec.json.decode(answer)["y"] for answer in as_json if isinstance(answer, bytes)]
    assert np.array(column.to_pylist(), dtype=object).tolist() == np.array(good, dtype=object).tolist()
