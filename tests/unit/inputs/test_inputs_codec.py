"""Every bad input is told by field, fault and what was expected, and never raises anything but InvalidInput."""

from typing import Any

import numpy as np
import pytest

from pipelines.inputs import InputCodec
from pipelines.ports import InvalidInput
from schemas.model_spec import ModelSpec


def spec(*inputs: dict[str, Any]) -> ModelSpec:
    return ModelSpec.model_validate({"name": "m", "inputs": inputs, "outputs": [{"name": "y", "dtype": "float32"}]})


def codec(dtype: str, *shape: int, **more: Any) -> InputCodec:
    return InputCodec(spec({"name": "x", "dtype": dtype, "shape": shape, **more}))


@pytest.mark.parametrize(
    ("dtype", "shape", "raw", "value"),
    [
        ("float32", (2,), b'{"x":[1,2.5]}', [1, 2.5]),
        ("float32", (), b'{"x":3.4028235e38}', 3.4028235e38),  # the largest float32, as its shortest decimal
        ("float16", (1,), b'{"x":[65504]}', [65504]),
        ("float64", (1,), b'{"x":[1e308]}', [1e308]),
        ("float32", (-1,), b'{"x":[1,2,3]}', [1, 2, 3]),
        ("float32", (-1, 2), b'{"x":[[1,2]]}', [[1, 2]]),
        ("float32", (2, 2), b'{"x":[[1,2],[3,4]]}', [[1, 2], [3, 4]]),
        ("int64", (2,), b'{"x":[-9223372036854775808,9223372036854775807]}', [-(2**63), 2**63 - 1]),
        ("uint64", (1,), b'{"x":[18446744073709551615]}', [2**64 - 1]),
        ("int32", (2,), b'{"x":[3.0,4]}', [3, 4]),
        ("int32", (-1,), b'{"x":[3.0,4]}', [3, 4]),
        ("uint8", (1, 2), b'{"x":[[0,255]]}', [[0, 255]]),
        ("bool", (2,), b'{"x":[true,false]}', [True, False]),
        ("bool", (1, 1), b'{"x":[[true]]}', [[True]]),
        ("string", (), b'{"x":"\\ud83d\\ude00"}', "😀"),
        ("string", (2,), b'{"x":["a",""]}', ["a", ""]),
    ],
)
def test_good_input(dtype: str, shape: tuple[int, ...], raw: bytes, value: Any) -> None:
    tensor = codec(dtype, *shape).decode(raw)["x"]
    assert tensor.dtype == np.dtype(object if dtype == "string" else dtype)
    assert tensor.shape == np.shape(value)
    assert tensor.tolist() == np.array(value, dtype=tensor.dtype).tolist()


@pytest.mark.parametrize(
    ("dtype", "shape", "raw", "message"),
    [
        ("float32", (64,), b'{"x":[' + b"0," * 62 + b"0]}", "inputs.x: expected shape [64], got [63]"),
        ("float32", (4,), b'{"x":[0,0,0,"a"]}', "inputs.x[3]: expected float32, got string"),
        ("float32", (1,), b'{"y":[0]}', "inputs.y: unknown, the model takes: x"),
        ("float32", (1,), b'{"x":[0],"a b":1}', "inputs.a b: unknown, the model takes: x"),
        ("float32", (1,), b'{"x":[0],"a\\u0000`":1}', "inputs.'a\\x00`': unknown, the model takes: x"),
        ("float32", (1,), b"{}", "inputs.x: missing, the model takes: x"),
        ("float32", (1,), b'{"x":[null]}', "inputs.x[0]: expected float32, got null"),
        ("float32", (1,), b'{"x":[true]}', "inputs.x[0]: expected float32, got boolean"),
        ("float32", (2,), b'{"x":[0,1e39]}', "inputs.x[1]: 1e+39 is out of range, expected float32"),
        ("float16", (-1,), b'{"x":[65520]}', "inputs.x[0]: 65520 is out of range, expected float16"),
        ("float64", (), b'{"x":1e999}', "inputs.x: number out of range, expected float64"),
        ("float32", (2,), b'{"x":"ab"}', "inputs.x: expected shape [2], got string"),
        ("float32", (2, 2), b'{"x":[[1,2],3]}', "inputs.x[1]: expected shape [2], got number"),
        ("float32", (2, 2), b'{"x":[[1],[2,3,4]]}', "inputs.x: rows of different lengths, expected shape [2, 2]"),
        ("float32", (-1,), b'{"x":[]}', "inputs.x: expected shape [-1] (-1: any length from 1), got [0]"),
        ("uint8", (2,), b'{"x":[0,300]}', "inputs.x[1]: out of range, expected uint8 from 0 to 255"),
        ("uint8", (1, 1), b'{"x":[[-1]]}', "inputs.x[0][0]: out of range, expected uint8 from 0 to 255"),
        (
            "uint64",
            (2,),
            b'{"x":[1,18446744073709551616]}',
            "inputs.x[1]: out of range, expected uint64 from 0 to 18446744073709551615",
        ),
        (
            "int64",
            (-1,),
            b'{"x":[-18446744073709551616]}',
            "inputs.x[0]: out of range, expected int64 from -9223372036854775808 to 9223372036854775807",
        ),
        ("int32", (), b'{"x":1.5}', "inputs.x: expected int32, got 1.5"),
        ("int32", (1, 1), b'{"x":[[1.5]]}', "inputs.x[0][0]: expected int32, got 1.5"),
        ("int32", (), b'{"x":"1"}', "inputs.x: expected int32, got string"),
        ("bool", (), b'{"x":1}', "inputs.x: expected bool, got number"),
        ("string", (2,), b'{"x":["a","b\\u0000"]}', "inputs.x[1]: holds U+0000, expected text without it"),
        ("string", (), b'{"x":1}', "inputs.x: expected string, got number"),
        ("string", (), b'{"x":"\xff"}', "inputs: not UTF-8, expected JSON in UTF-8"),
        ("float32", (), b"null", "inputs: expected an object by input name, got null"),
    ],
)
def test_bad_input_is_named(dtype: str, shape: tuple[int, ...], raw: bytes, message: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        codec(dtype, *shape).decode(raw)
    assert str(refused.value) == message


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint64", "uint8", "bool", "string"])
@pytest.mark.parametrize("shape", [(), (2,), (-1,), (2, 2)])
@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xff",
        b'{"x":NaN}',
        b'{"x":[Infinity,1]}',
        b'{"x":' + b"9" * 5000 + b"}",
        b'{"x":[' + b"9" * 5000 + b",1]}",
        b'{"x":' + b"[" * 100_000,
        b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"y":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b"[" * 100_000,
        b'{"x":"\\ud800"}',
        b'{"x":["\xed\xa0\x80","a"]}',
        b'[{"name":"x","shape":[2],"datatype":"INT64","data":[' + b"9" * 4000 + b",1]}]",
        b'[{"name":"x","shape":[2],"datatype":"FP32","data":[' + b"9" * 4000 + b",1]}]",
        b'[{"name":"x","shape":[' + b"9" * 4000 + b'],"datatype":"FP32","data":[1]}]',
        b'[{"name":"x","shape":[2],"datatype":"FP32","data":' + b"[" * 900 + b"]" * 900 + b"}]",
    ],
    ids=range(16),
)
def test_hostile_json_is_refused(dtype: str, shape: tuple[int, ...], raw: bytes) -> None:
    decoding = codec(dtype, *shape)
    with pytest.raises(InvalidInput) as refused:
        decoding.decode(raw)
    assert len(str(refused.value)) < 500
    assert "\n" not in str(refused.value)
    assert [str(outcome) for outcome in decoding.decode_many([raw])] == [str(refused.value)]


def test_null_stands_for_nan_where_the_model_allows_it() -> None:
    tensor = codec("float32", 3, nan=True).decode(b'{"x":[1,null,2]}')["x"]
    assert np.isnan(tensor).tolist() == [False, True, False]
    with pytest.raises(InvalidInput, match="out of range"):
        codec("float32", 1, nan=True).decode(b'{"x":[1e39]}')


def test_one_bad_input_does_not_cost_its_neighbours() -> None:
    good, bad, also = codec("float32", 1).decode_many([b'{"x":[1]}', b'{"x":["a"]}', b'{"x":[3]}'])
    assert isinstance(good, dict)
    assert isinstance(also, dict)
    assert (good["x"].tolist(), also["x"].tolist()) == ([1], [3])
    assert str(bad) == "inputs.x[0]: expected float32, got string"


def test_inputs_keep_the_order_of_the_model_and_any_name() -> None:
    both = InputCodec(spec({"name": "b.c-d", "dtype": "int8"}, {"name": "class", "dtype": "string"}))
    for tensors in (both.decode(b'{"class":"k","b.c-d":1}'), both.decode_many([b'{"class":"k","b.c-d":1}'])[0]):
        assert isinstance(tensors, dict)
        assert list(tensors) == ["b.c-d", "class"]


def test_tensors_may_be_written_to() -> None:
    """A preprocess hook may work in place, without touching its neighbours."""
    first, second = codec("float32", 2).decode_many([b'{"x":[1,2]}', b'{"x":[3,4]}'])
    assert isinstance(first, dict)
    assert isinstance(second, dict)
    first["x"] += 10
    assert second["x"].tolist() == [3, 4]
