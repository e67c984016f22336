"""`columns` in model.yaml: names, lists, patterns, and what is told when they do not fit the inputs."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from pipelines.catalog.mistakes import BadModels
from pipelines.catalog.spec_file import read_spec
from schemas.model_spec import ModelSpec

YAML = """
name: m
inputs: [{name: x, dtype: float32, shape: [3]}, {name: t, dtype: string}]
outputs: [{name: y, dtype: float32}]
columns:
"""


def spec(shape: list[int], columns: Any) -> ModelSpec:
    tensors = {
        "inputs": [{"name": "x", "dtype": "float32", "shape": shape}],
        "outputs": [{"name": "y", "dtype": "int8"}],
    }
    return ModelSpec.model_validate({"name": "m", **tensors, "columns": columns})


@pytest.mark.parametrize(
    ("shape", "columns", "names"),
    [
        ([], {}, ["x"]),
        ([], {"x": "a"}, ["a"]),
        ([3], {"x": "f{0..2}"}, ["f0", "f1", "f2"]),
        ([3], {"x": "p.f{09..11}.v"}, ["p.f09.v", "p.f10.v", "p.f11.v"]),
        ([3], {"x": ["a", "f{1..2}"]}, ["a", "f1", "f2"]),
        ([-1], {"x": ["a", "b"]}, ["a", "b"]),
        ([2, 2], {"x": "payload.pixels"}, ["payload.pixels"]),
        ([1], {"x": "f{5..5}"}, ["f5"]),
    ],
)
def test_columns_by_input(shape: list[int], columns: Any, names: list[str]) -> None:
    assert spec(shape, columns).columns_by_input() == {"x": names}


@pytest.mark.parametrize(
    ("shape", "columns", "message"),
    [
        ([2], {"z": "a"}, "columns: 'z' is no input, the model takes: x"),
        ([2], {"x": []}, "columns: x: expected a column, a list of columns, or a pattern such as f{0..15}, got none"),
        ([2], {"x": 5}, "x: expected a column, a list of columns, or a pattern such as f{0..15}"),
        ([2], {"x": ["a", 5]}, "x: expected a column, a list of columns, or a pattern such as f{0..15}"),
        ([2], ["a"], "expected by input a column, a list of columns, or a pattern such as f{0..15}"),
        ([3], {"x": ["a", "b"]}, "columns: x: 2 columns for shape [3], expected 3, or one column of lists"),
        ([], {"x": ["a", "b"]}, "columns: x: 2 columns for shape [], expected one column"),
        ([1, 2], {"x": ["a", "b"]}, "columns: x: 2 columns for shape [1, 2], expected one column"),
        ([3], {"x": ["a", "b", "a"]}, "columns: x: the column 'a' is named twice"),
        ([3], {"x": "f{2..0}"}, "columns: x: 'f{2..0}': the range falls, expected the smaller number first"),
        ([3], {"x": "f{0..1}{0..1}"}, "columns: x: 'f{0..1}{0..1}': expected a name, or a name with one range such as f{0..15}"),
        ([3], {"x": "f{a..c}"}, "columns: x: 'f{a..c}': expected a name, or a name with one range such as f{0..15}"),
        ([-1], {"x": "f{0..999999999}"}, "columns: x: 'f{0..999999999}': 1000000000 columns, expected 65536 at most"),
        ([-1], {"x": ["f{0..40000}", "g{0..40000}"]}, "columns: x: 80002 columns, expected 65536 at most; keep them in one"),
        ([], {"x": "a..b"}, "columns: x: 'a..b': expected a column's name, with dots between the fields of nested ones"),
        ([], {"x": ""}, "columns: x: '': expected a column's name, with dots between the fields of nested ones"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_told(shape: list[int], columns: Any, message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        spec(shape, columns)
    assert message in str(caught.value)


def test_columns_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "model.yaml"
    file.write_text(YAML + '  x: "f{0..2}"\n  t: payload.text\n')
    assert read_spec(file).columns_by_input() == {"x": ["f0", "f1", "f2"], "t": ["payload.text"]}
    file.write_text(YAML + "  x: [a, b]\n")
    with pytest.raises(BadModels, match=r"columns: x: 2 columns for shape \[3\]"):
        read_spec(file)
    file.write_text(YAML + "  x: 7\n")
    with pytest.raises(BadModels, match=r"model.yaml: columns: x: expected a column, a list"):
        read_spec(file)


def test_what_is_given_is_checked_too() -> None:
    model = spec([2], {})
    assert model.columns_by_input({"x": ["a", "b"]}) == {"x": ["a", "b"]}
    with pytest.raises(ValueError, match=r"^columns: x: 3 columns for shape \[2\]"):
        model.columns_by_input({"x": ["f{0..2}"]})
