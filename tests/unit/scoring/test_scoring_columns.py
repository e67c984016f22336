"""Columns as inputs: where they are found, which types fit, and which rows do not."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.inputs import InputCodec
from pipelines.scoring.columns import ColumnReader
from pipelines.scoring.faults import BadInput, BadOrder
from pipelines.scoring.rows import Each, Rows, Stacked
from schemas.model_spec import ModelSpec

NAN = float("nan")
INF = float("inf")


def model(*inputs: dict[str, Any], **more: Any) -> ModelSpec:
    return ModelSpec.model_validate(
        {"name": "m", "inputs": inputs, "outputs": [{"name": "y", "dtype": "float32"}], **more}
    )


def of(dtype: str, *shape: int, **more: Any) -> ModelSpec:
    return model({"name": "x", "dtype": dtype, "shape": shape, **more})


def read(
    spec: ModelSpec, columns: dict[str, Any], given: dict[str, Sequence[str]] | None = None, each: bool = False
) -> Rows:
    return ColumnReader(spec, given or {}, each).rows(pa.RecordBatch.from_pydict(columns))


def stacked(rows: Rows) -> dict[str, np.ndarray]:
    assert isinstance(rows.given, Stacked)
    return rows.given.tensors


def told(rows: Rows) -> dict[int, str]:
    return {place: str(refusal) for place, refusal in rows.bad.items()}


def test_columns_side_by_side_are_stacked_in_order() -> None:
    spec = model({"name": "x", "dtype": "float32", "shape": [3]}, columns={"x": ["b", "f{0..1}"]})
    columns = {"f1": [3, 6], "b": [1.0, 4.0], "f0": np.array([2, 5], dtype=np.float32)}
    reader = ColumnReader(spec, {}, each=False)
    assert reader.names == ("b", "f0", "f1")
    rows = reader.rows(pa.RecordBatch.from_pydict(columns))
    (tensor,) = stacked(rows).values()
    assert (tensor.dtype, tensor.tolist()) == (np.float32, [[1, 2, 3], [4, 5, 6]])
    assert (rows.good, rows.bad) == (None, {})
    assert tensor.flags.writeable


def test_more_rows_than_one_block_keep_their_places() -> None:
    columns = {f"f{n}": np.arange(n * 100_000, n * 100_000 + 70_000, dtype=np.float32) for n in range(5)}
    tensor = stacked(read(of("float32", 5), columns, {"x": ["f{0..4}"]}))["x"]
    assert np.array_equal(tensor, np.stack(list(columns.values()), axis=1))


def test_what_is_given_goes_before_model_yaml() -> None:
    spec = model({"name": "x", "dtype": "int8"}, {"name": "z", "dtype": "int8"}, columns={"x": ["a"], "z": ["b"]})
    tensors = stacked(read(spec, {"c": [1], "b": [2]}, {"x": ["c"]}))
    assert {name: tensor.tolist() for name, tensor in tensors.items()} == {"x": [1], "z": [2]}


def test_nested_fields_and_what_parquet_reads_of_them(tmp_path: Path) -> None:
    payload = [{"text": "a", "more": {"n": 1}}, None, {"text": "b", "more": None}, {"text": None, "more": {"n": 4}}]
    pq.write_table(pa.table({"payload": payload, "other": range(4)}), tmp_path / "p.parquet")
    spec = model({"name": "t", "dtype": "string"}, {"name": "n", "dtype": "int32"})
    reader = ColumnReader(spec, {"t": ["payload.text"], "n": ["payload.more.n"]}, each=False)
    with pq.ParquetFile(tmp_path / "p.parquet") as file:
        reader.check(file.schema_arrow)
        (batch,) = file.iter_batches(columns=list(reader.names))
    assert batch.schema.names == ["payload"]
    rows = reader.rows(batch)
    assert isinstance(rows.given, Each)
    assert [{name: t.tolist() for name, t in item.items()} for item in rows.given.items] == [{"t": "a", "n": 1}]
    assert rows.good is not None
    assert rows.good.tolist() == [0]
    assert told(rows) == {
        1: "inputs.t: expected string, got null",
        2: "inputs.n: expected int32, got null",
        3: "inputs.t: expected string, got null",
    }


def test_a_column_with_dots_in_its_name_goes_before_a_nested_one() -> None:
    columns = {"a": [{"b": 1}], "a.b": [2]}
    assert stacked(read(of("int8"), columns, {"x": ["a.b"]}))["x"].tolist() == [2]


@pytest.mark.parametrize("each", [False, True])
def test_bad_rows_never_disturb_their_neighbours(each: bool) -> None:
    spec = model({"name": "x", "dtype": "float32", "shape": [2]}, {"name": "n", "dtype": "uint8"})
    x = [[1, 2], [3], None, [5, NAN], [7, 8], [9, None], [11, 1e39], [13, -INF]]
    rows = read(spec, {"x": pa.array(x, pa.list_(pa.float64())), "n": [1, 2, 3, 4, 300, 6, 7, 8]}, each=each)
    assert rows.good is not None
    assert rows.good.tolist() == [0]
    assert told(rows) == {
        1: "inputs.x: expected shape [2], got [1]",
        2: "inputs.x: expected shape [2], got null",
        3: "inputs.x[1]: NaN, expected float32 (model.yaml allows it with `nan: true`)",
        4: "inputs.n: out of range, expected uint8 from 0 to 255",
        5: "inputs.x[1]: expected float32, got null",
        6: "inputs.x[1]: 1e+39 is out of range, expected float32",
        7: "inputs.x[1]: an infinity, expected float32 (model.yaml allows it with `nan: true`)",
    }
    if isinstance(rows.given, Each):
        (item,) = rows.given.items
    else:
        item = {name: tensor[0, ...] for name, tensor in rows.given.tensors.items()}
        assert rows.given.count == 1
    assert {name: tensor.tolist() for name, tensor in item.items()} == {"x": [1, 2], "n": 1}


@pytest.mark.parametrize("each", [False, True])
@pytest.mark.parametrize("shape", [[2], [-1]])
def test_nan_where_it_is_allowed(shape: list[int], each: bool) -> None:
    x = pa.array([[1, NAN], [None, -INF], [1e39, 1], None], pa.list_(pa.float64(), 2))
    rows = read(of("float32", *shape, nan=True), {"x": x}, each=each)
    given = rows.given
    tensors = given.tensors["x"] if isinstance(given, Stacked) else [item["x"] for item in given.items]
    assert [repr(tensor.tolist()) for tensor in tensors] == ["[1.0, nan]", "[nan, -inf]"]
    assert told(rows) == {
        2: "inputs.x[0]: 1e+39 is out of range, expected float32",
        3: f"inputs.x: expected {'shape [2]' if shape == [2] else 'shape [-1]'}, got null",
    }


def test_integers_keep_every_digit() -> None:
    assert stacked(read(of("uint64"), {"x": pa.array([2**64 - 1], pa.uint64())}))["x"].tolist() == [2**64 - 1]
    rows = read(of("int64"), {"x": pa.array([2**63, 2**63 - 1], pa.uint64())})
    assert (stacked(rows)["x"].tolist(), list(rows.bad)) == ([2**63 - 1], [0])
    rows = read(of("uint64"), {"x": pa.array([-1, 2**63 - 1])})
    assert (stacked(rows)["x"].tolist(), list(rows.bad)) == ([2**63 - 1], [0])
    # With a null among them, numpy alone would make floats of integers.
    rows = read(of("int64"), {"x": pa.array([2**63 - 1, None])})
    assert stacked(rows)["x"].tolist() == [2**63 - 1]


def test_integers_are_rounded_as_json_is() -> None:
    """Twice, by way of a double: straight to a float32 this one would go up."""
    number = 2**60 + 2**36 + 1
    (online,) = InputCodec(of("float32")).decode_many([b'{"x": %d}' % number])
    assert isinstance(online, dict)
    assert stacked(read(of("float32"), {"x": [number]}))["x"].tolist() == [online["x"].item()] == [2.0**60]


def test_decimals_are_rounded_as_json_is() -> None:
    """Arrow's own cast makes 0.9834882530000001 of the first."""
    for text, kind in (("0.983488253", pa.decimal128(9, 9)), ("833877911945.4583", pa.decimal128(18, 4))):
        rows = read(of("float64"), {"x": pa.array([text]).cast(kind)})
        assert stacked(rows)["x"].tolist() == [float(text)]


def test_dictionary_columns_and_their_nulls() -> None:
    numbers = pa.DictionaryArray.from_arrays(pa.array([0, None, 1, 2], pa.int8()), pa.array([1.5, None, 2.5]))
    rows = read(of("float32"), {"x": numbers})
    assert (stacked(rows)["x"].tolist(), list(rows.bad)) == ([1.5, 2.5], [1, 2])
    texts = pa.array(["a", None, "b", "a"]).dictionary_encode()
    texts_read = read(of("string"), {"x": texts})
    assert isinstance(texts_read.given, Each)
    assert [item["x"].item() for item in texts_read.given.items] == ["a", "b", "a"]


@pytest.mark.parametrize(
    ("spec", "column", "count"),
    [
        (of("float32", 2), pa.array([], pa.list_(pa.float32())), 0),
        (of("float32", 2), pa.array([], pa.list_(pa.float32(), 2)), 0),
        (of("float32", 2, 2), pa.array([], pa.list_(pa.list_(pa.int8()))), 0),
        (of("bool"), pa.array([], pa.bool_()), 0),
        (of("int8"), pa.array([], pa.int64()), 0),
        (of("string", -1), pa.array([], pa.list_(pa.string())), 0),
        (of("float32", 1), pa.array([], pa.float32()), 0),
        (of("float32", 2), pa.nulls(0), 0),
        (of("float32", nan=True), pa.nulls(2), 2),
    ],
)
@pytest.mark.parametrize("each", [False, True])
def test_no_rows_and_nothing_but_nulls(spec: ModelSpec, column: pa.Array, count: int, each: bool) -> None:
    rows = read(spec, {"x": column}, each=each)
    assert (rows.given.count, rows.good, rows.bad) == (count, None, {})
    if isinstance(rows.given, Stacked):
        (tensor,) = rows.given.tensors.values()
        assert tensor.shape == (count, *spec.inputs[0].shape)
        assert tensor.dtype == np.dtype(spec.inputs[0].dtype)


def test_every_row_bad() -> None:
    rows = read(of("int8"), {"x": pa.nulls(2500)})
    assert isinstance(rows.given, Stacked)
    assert (rows.given.count, len(rows.bad)) == (0, 2500)
    assert all(refusal.__traceback__ is None for refusal in rows.bad.values())  # it would keep the row in memory
    assert stacked(rows)["x"].shape == (0,)


def test_bytes_that_are_no_utf8_are_told_and_cost_no_neighbour() -> None:
    offsets = pa.py_buffer(np.array([0, 1, 3, 4], dtype=np.int32).tobytes())
    texts = pa.Array.from_buffers(pa.string(), 3, [None, offsets, pa.py_buffer(b"a\xff\xfeb")])
    rows = read(of("string"), {"x": texts})
    assert told(rows) == {1: "inputs.x: not UTF-8, expected string"}
    assert rows.given.count == 2
    lists = pa.ListArray.from_arrays(pa.array([0, 1, 2], pa.int32()), texts[:2])
    assert told(read(of("string", 1), {"x": lists})) == {1: "inputs.x: not UTF-8, expected string"}


def test_what_is_missing_or_does_not_fit_is_told_at_once() -> None:
    spec = model(
        {"name": "x", "dtype": "float32", "shape": [3]},
        {"name": "t", "dtype": "string"},
        {"name": "m", "dtype": "int64", "shape": [2, -1]},
        {"name": "b", "dtype": "bool"},
        columns={"x": ["f{0..2}"], "t": ["payload.txt"]},
    )
    fields = [
        ("f0", pa.float64()),
        ("f2", pa.string()),
        ("payload", pa.struct([("text", pa.string())])),
        ("b", pa.int8()),
    ]
    with pytest.raises(BadInput) as caught:
        ColumnReader(spec, {}, each=False).check(pa.schema([*fields, ("m", pa.list_(pa.list_(pa.float32())))]))
    assert str(caught.value) == (
        "columns that do not fit the model: f1: missing for inputs.x (nearest: f2, f0); "
        "f2: string, expected floats, integers or decimals for inputs.x; "
        "payload.txt: missing for inputs.t (nearest: payload.text, payload); "
        "m: list<item: list<item: float>>, expected lists of 2 lists of integers for inputs.m; "
        "b: int8, expected booleans for inputs.b"
    )


@pytest.mark.parametrize(
    ("spec", "kind", "expected"),
    [
        (
            of("float32", 4),
            pa.list_(pa.float32(), 3),
            "expected lists of 4 floats, integers or decimals, or 4 columns of them",
        ),
        (of("float32", 4), pa.float32(), "expected lists of 4 floats, integers or decimals, or 4 columns of them"),
        (of("float32"), pa.list_(pa.float32()), "expected floats, integers or decimals"),
        (of("float32"), pa.bool_(), "expected floats, integers or decimals"),
        (of("int32"), pa.float64(), "expected integers"),
        (of("int32"), pa.timestamp("us"), "expected integers"),
        (of("string"), pa.binary(), "expected strings"),
        (of("string"), pa.dictionary(pa.int8(), pa.int64()), "expected strings"),
        (of("string", -1), pa.list_(pa.int8()), "expected lists of strings"),
        (of("float32", 2), pa.map_(pa.string(), pa.float32()), "expected lists of 2"),
    ],
)
def test_types_that_do_not_fit(spec: ModelSpec, kind: pa.DataType, expected: str) -> None:
    with pytest.raises(BadInput, match=expected):
        ColumnReader(spec, {}, each=False).check(pa.schema([("x", kind)]))


def test_columns_of_one_name_are_told() -> None:
    with pytest.raises(BadInput, match="x: several columns have this name"):
        ColumnReader(of("int8"), {}, each=False).check(pa.schema([("x", pa.int8()), ("x", pa.int8())]))
    with pytest.raises(BadInput, match=r"x: missing for inputs.x \(there are: no columns\)"):
        ColumnReader(of("int8"), {}, each=False).rows(pa.RecordBatch.from_pydict({}))


def test_a_long_list_of_faults_is_cut() -> None:
    with pytest.raises(BadInput, match=r"f7: missing [^;]*; and 8 more$"):
        ColumnReader(of("int8", 16), {"x": ["f{0..15}"]}, each=False).check(pa.schema([("a", pa.int8())]))


def test_a_mapping_that_does_not_fit_the_model() -> None:
    with pytest.raises(BadOrder, match=r"model m: columns: 'z' is no input, the model takes: x"):
        ColumnReader(of("int8"), {"z": ["a"]}, each=False)
    with pytest.raises(BadOrder, match=r"model m: columns: x: 3 columns for shape \[2\], expected 2, or one"):
        ColumnReader(of("int8", 2), {"x": ["f{0..2}"]}, each=False)
