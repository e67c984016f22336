"""How large the JSON of an upload may be: never less than a model's shapes can need, and not much more."""

import json
from math import prod
from typing import Any

import pytest

from pipelines.inputs.bounds import LEAST, VARYING, bounded, most_upload_bytes
from schemas.model_spec import ModelSpec


def spec_of(*inputs: tuple[str, list[int]], **limits: Any) -> ModelSpec:
    tensors = [{"name": f"x{n}", "dtype": dtype, "shape": shape} for n, (dtype, shape) in enumerate(inputs)]
    outputs = [{"name": "y", "dtype": "float32"}]
    return ModelSpec.model_validate({"name": "m", "inputs": tensors, "outputs": outputs, "limits": limits})


def nested(value: float, shape: list[int]) -> Any:
    return [nested(value, shape[1:]) for _ in range(shape[0])] if shape else value


@pytest.mark.parametrize("shape", [[], [1], [20_000], [3, 64, 64], [20_000, 1], [1, 1, 1, 5_000]])
def test_fixed_shapes_have_room_for_every_digit_indented(shape: list[int]) -> None:
    spec = spec_of(("float64", shape), ("int64", shape))
    value = {"x0": nested(-2.2250738585072014e-308, shape), "x1": nested(-(2**63), shape)}
    listed = [{"name": name, "shape": [1, *shape], "datatype": "FP64", "data": [data]} for name, data in value.items()]
    for form in (value, listed):
        assert len(json.dumps(form, indent=4)) <= most_upload_bytes(spec)
    assert most_upload_bytes(spec) <= LEAST + 2 * 64 * (5 + 2 * max(prod(shape), 1))


@pytest.mark.parametrize("given", [("float32", [-1]), ("string", []), ("int8", [2, -1])])
def test_shapes_that_say_nothing(given: tuple[str, list[int]]) -> None:
    assert most_upload_bytes(spec_of(("float32", [4]), given)) == VARYING


def test_model_yaml_goes_first() -> None:
    spec = spec_of(("float32", [-1]), max_upload_bytes=5)
    assert most_upload_bytes(spec) == 5
    assert bounded(spec).max_upload_bytes == 5


def test_the_limits_of_a_worker_have_it_in_place() -> None:
    spec = spec_of(("float32", [64]), max_attempts=7)
    assert (bounded(spec).max_attempts, bounded(spec).max_upload_bytes) == (7, LEAST)
