"""Whatever comes: decode_many answers as decode does one by one, and nothing but InvalidInput is raised."""

import json
from typing import Any, get_args

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipelines.inputs import InputCodec
from pipelines.ports import InvalidInput, Tensors
from schemas.model_spec import DType, ModelSpec, TensorSpec

numbers = st.one_of(
    st.integers(-(2**70), 2**70), st.integers(-300, 300), st.floats(), st.sampled_from([3.4028235e38, 1e39, 0.5, 2.0])
)
scalars = st.one_of(numbers, st.booleans(), st.none(), st.text(max_size=3))
values = st.recursive(scalars, lambda below: st.lists(below, max_size=3), max_leaves=8)
tensor_specs = st.builds(
    lambda dtype, shape, nan: TensorSpec(name="x", dtype=dtype, shape=shape, nan=nan and dtype.startswith("float")),
    st.sampled_from(get_args(DType)),
    st.lists(st.sampled_from([-1, 1, 2]), max_size=2).map(tuple),
    st.booleans(),
)


def codec_of(tensor: TensorSpec) -> InputCodec:
    return InputCodec(ModelSpec(name="m", inputs=(tensor,), outputs=(TensorSpec(name="y", dtype="float32"),)))


def alone(codec: InputCodec, raw: bytes) -> Tensors | InvalidInput:
    try:
        return codec.decode(raw)
    except InvalidInput as invalid:
        return invalid


def shown(outcome: Tensors | InvalidInput) -> Any:
    if isinstance(outcome, InvalidInput):
        return str(outcome)
    return {name: (tensor.dtype, tensor.shape, repr(tensor.tolist())) for name, tensor in outcome.items()}


def fitting(tensor: TensorSpec) -> st.SearchStrategy[Any]:
    strategy: st.SearchStrategy[Any] = numbers
    if tensor.dtype in ("bool", "string"):
        strategy = st.booleans() if tensor.dtype == "bool" else st.text(max_size=3)
    for size in reversed(tensor.shape):
        strategy = st.lists(strategy, min_size=max(1, size), max_size=3 if size == -1 else size)
    return strategy


@given(tensor_specs, st.data())
def test_many_answers_as_one_by_one(tensor: TensorSpec, data: st.DataObject) -> None:
    codec = codec_of(tensor)
    given_values = data.draw(st.lists(st.one_of(fitting(tensor), values), max_size=4))
    raws = [json.dumps({"x": value}).encode() for value in given_values]
    assert [shown(o) for o in codec.decode_many(raws)] == [shown(alone(codec, raw)) for raw in raws]


@given(tensor_specs, st.lists(st.binary(max_size=40), max_size=3))
def test_any_bytes_give_an_outcome(tensor: TensorSpec, raws: list[bytes]) -> None:
    codec = codec_of(tensor)
    assert [shown(o) for o in codec.decode_many(raws)] == [shown(alone(codec, raw)) for raw in raws]


@given(tensor_specs, st.data())
def test_what_is_accepted_is_what_was_sent(tensor: TensorSpec, data: st.DataObject) -> None:
    sent = data.draw(fitting(tensor))
    outcome = alone(codec_of(tensor), json.dumps({"x": sent}).encode())
    if isinstance(outcome, InvalidInput):
        return
    got = outcome["x"]
    assert got.shape == np.shape(np.array(sent, dtype=object))
    if tensor.dtype.startswith("float"):
        assert not np.isinf(got).any()
        assert np.allclose(got.astype(np.float64), np.array(sent, dtype=np.float64), rtol=1e-3, atol=1e-7)
    else:
        assert got.tolist() == sent


protocol_tensors = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["x", "y"]),
        "shape": st.lists(st.integers(-1, 3), max_size=3),
        "datatype": st.sampled_from(["FP32", "INT64", "BYTES", "BOOL", "UINT8"]),
        "data": values,
    }
)


@given(tensor_specs, st.lists(protocol_tensors, max_size=2))
def test_the_protocols_form_gives_an_outcome(tensor: TensorSpec, sent: list[dict[str, Any]]) -> None:
    codec = codec_of(tensor)
    raw = json.dumps(sent).encode()
    assert shown(codec.decode_many([raw])[0]) == shown(alone(codec, raw))
