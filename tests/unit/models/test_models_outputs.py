"""Outputs: encoded as declared, or told what does not fit, one outcome per output."""

from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.flow.served import InvalidOutput
from pipelines.outputs import OutputCodec
from schemas.model_spec import ModelSpec


def codec(*outputs: dict[str, Any]) -> OutputCodec:
    spec = {"name": "m", "inputs": [{"name": "x", "dtype": "float32"}], "outputs": outputs}
    return OutputCodec(ModelSpec.model_validate(spec))


def one(dtype: str, shape: list[int], value: Any, **more: Any) -> Any:
    (outcome,) = codec({"name": "y", "dtype": dtype, "shape": shape, **more}).encode_many([{"y": value}])
    return outcome.error if isinstance(outcome, InvalidOutput) else msgspec.json.decode(outcome)["y"]


@pytest.mark.parametrize(
    ("dtype", "shape", "value", "result"),
    [
        ("float32", [2], np.array([0.5, 1], dtype=np.float32), [0.5, 1]),
        ("float32", [], np.float64(0.5), 0.5),
        ("float32", [2], [1, 2], [1, 2]),
        ("float32", [-1], np.arange(3), [0, 1, 2]),
        ("uint8", [], np.int64(7), 7),
        ("int64", [1, 1], np.array([[-1]]), [[-1]]),
        ("bool", [1], np.array([True]), [True]),
        ("string", [], "é", "é"),
        ("string", [-1], np.array(["a", "b"], dtype=object), ["a", "b"]),
        ("string", [2], ["a", "b"], ["a", "b"]),
    ],
)
def test_what_fits(dtype: str, shape: list[int], value: Any, result: Any) -> None:
    assert one(dtype, shape, value) == result


@pytest.mark.parametrize(
    ("dtype", "shape", "value", "error"),
    [
        ("float32", [2], np.zeros(3), "outputs.y: expected shape [2], got [3]"),
        ("int64", [], np.float32(1.5), "outputs.y: expected int64, got float32"),
        ("uint8", [], np.int64(300), "outputs.y: out of range, expected uint8 from 0 to 255"),
        ("float32", [], np.float64(1e300), "outputs.y: out of range, expected float32"),
        ("float32", [1], np.array([np.nan]), "outputs.y: holds NaN or an infinity (model.yaml allows them with `nan: true`)"),
        ("float32", [], np.complex64(1), "outputs.y: expected float32, got complex64"),
        ("string", [], 1, "outputs.y: expected string, got int"),
        ("string", [], "\ud800", "outputs.y: holds half a surrogate pair, expected valid Unicode"),
    ],
)  # fmt: skip
def test_what_does_not_fit(dtype: str, shape: list[int], value: Any, error: str) -> None:
    assert one(dtype, shape, value) == error


def test_ragged_lists_are_told(recwarn: pytest.WarningsRecorder) -> None:
    assert one("float32", [-1, -1], [[1], [2, 3]]).startswith("outputs.y: ")


def test_nan_is_null_where_it_is_allowed() -> None:
    assert one("float32", [3], np.array([1, np.nan, np.inf]), nan=True) == [1, None, None]


def test_names_are_those_declared() -> None:
    both = codec({"name": "a", "dtype": "int8"}, {"name": "b", "dtype": "int8"})
    good, missing, unknown, odd = both.encode_many([{"b": 2, "a": 1}, {"a": 1}, {"a": 1, "b": 2, "c": 3}, [1, 2]])  # type: ignore[list-item]
    assert good == b'{"a":1,"b":2}'
    assert missing == InvalidOutput("outputs.b: missing")
    assert unknown == InvalidOutput("outputs.c: not declared, expected: a, b")
    assert odd == InvalidOutput("outputs: expected a dict by output name, got list")
    assert both.encode_many([{"a": 1, "b": 2, "c": 3}]) == [unknown]
    assert both.encode_many([]) == []


arrays = st.one_of(
    st.lists(st.floats(width=32), max_size=3).map(lambda v: np.array(v, dtype=np.float32)),
    st.lists(st.integers(-(2**62), 2**62), max_size=3).map(lambda v: np.array(v, dtype=np.int64)),
    st.lists(st.booleans(), max_size=3).map(np.array),
    st.floats().map(np.float64),
)


@given(st.lists(arrays, max_size=4), st.sampled_from(["float32", "float16", "uint8", "int64", "bool", "string"]))
def test_many_answers_as_one_by_one(values: list[Any], dtype: str) -> None:
    encoding = codec({"name": "y", "dtype": dtype, "shape": [2]})
    outputs = [{"y": value} for value in values]
    assert encoding.encode_many(outputs) == [encoding.encode_many([output])[0] for output in outputs]
