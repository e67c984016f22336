"""The Open Inference Protocol's form of an input."""

import json
from typing import Any

import pytest

from pipelines.inputs import InputCodec
from pipelines.ports import InvalidInput
from schemas.model_spec import ModelSpec

CODEC = InputCodec(
    ModelSpec.model_validate(
        {
            "name": "m",
            "inputs": [{"name": "x", "dtype": "float32", "shape": [2, 2]}],
            "outputs": [{"name": "y", "dtype": "float32"}],
        }
    )
)


def tensor(**changes: Any) -> dict[str, Any]:
    return {"name": "x", "shape": [2, 2], "datatype": "FP32", "data": [1, 2, 3, 4], **changes}


def decode(*tensors: dict[str, Any]) -> Any:
    return CODEC.decode(json.dumps(tensors).encode())["x"].tolist()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"data": [[1, 2], [3, 4]]},
        {"shape": [1, 2, 2]},
        {"shape": [1, 2, 2], "data": [[[1, 2], [3, 4]]]},
        {"parameters": {"anything": 1}},
    ],
)
def test_flat_or_nested_with_or_without_a_batch_of_one(changes: dict[str, Any]) -> None:
    assert decode(tensor(**changes)) == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "z"}, "inputs[0].name: z is unknown, the model takes: x"),
        ({"datatype": "INT8"}, "inputs[0].datatype: expected FP32, got INT8"),
        ({"shape": [4]}, "inputs[0].shape: expected [2, 2], got [4]"),
        ({"shape": [2, 2, 2]}, "inputs[0].shape: expected [2, 2], got [2, 2, 2]"),
        ({"shape": [-2, 2]}, "inputs[0].shape[0]: expected int >= 0"),
        (
            {"data": [1, 2, 3]},
            "inputs[0].data: expected shape [2, 2] or 4 values in one list, got shape [3]",
        ),
        ({"data": [1, 2, 3, 4, 5]}, "inputs[0].data: more than 4 values, expected shape [2, 2]"),
        ({"data": [[1, 2], [3, 4, 5]]}, "inputs[0].data: more than 4 values, expected shape [2, 2]"),
        ({"data": [[], [], [], [], []]}, "inputs[0].data: more than 4 values, expected shape [2, 2]"),
        ({"data": [[1], [2, 3, 4]]}, "inputs[0].data: rows of different lengths, expected shape [2, 2]"),
        ({"data": [1, 2, 3, "4"]}, "inputs.x[1][1]: expected float32, got string"),
        ({"data": [1, 2, 3, 1e39]}, "inputs.x[1][1]: 1e+39 is out of range, expected float32"),
        ({"extra": 1}, "inputs[0].extra: unknown"),
    ],
)
def test_what_does_not_fit_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        decode(tensor(**changes))
    assert str(refused.value).startswith(message)


def test_a_tensor_given_twice_or_not_at_all() -> None:
    with pytest.raises(InvalidInput, match=r"inputs\[1\].name: x is given twice"):
        decode(tensor(), tensor())
    with pytest.raises(InvalidInput, match=r"inputs.x: missing"):
        decode()
    with pytest.raises(InvalidInput, match=r"inputs\[0\].data: missing"):
        decode({"name": "x", "shape": [2, 2], "datatype": "FP32"})
