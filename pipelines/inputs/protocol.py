"""The Open Inference Protocol's form of an input: a list of named tensors with shape and datatype."""

from collections.abc import Sequence
from math import prod
from typing import Any

import msgspec
from msgspec import Struct

from pipelines.inputs.kinds import OIP
from pipelines.ports import InvalidInput
from schemas.model_spec import TensorSpec


class _Tensor(Struct, forbid_unknown_fields=True):
    name: str
    shape: list[int]
    datatype: str
    data: Any
    parameters: dict[str, Any] = {}


_decode = msgspec.json.Decoder(list[_Tensor]).decode


def from_protocol(inputs: bytes, specs: Sequence[TensorSpec]) -> bytes:
    """The same input by name, as JSON. Raises InvalidInput; msgspec's own errors pass through."""
    by_name = {spec.name: spec for spec in specs}
    given: dict[str, Any] = {}
    for place, tensor in enumerate(_decode(inputs)):
        spec = by_name.get(tensor.name)
        if spec is None:
            raise InvalidInput(
                f"inputs[{place}].name: {tensor.name!r} is unknown, the model takes: {', '.join(by_name)}"
            )
        if tensor.name in given:
            raise InvalidInput(f"inputs[{place}].name: {tensor.name!r} is given twice")
        if tensor.datatype != OIP[spec.dtype]:
            raise InvalidInput(f"inputs[{place}].datatype: expected {OIP[spec.dtype]}, got {tensor.datatype[:32]!r}")
        given[tensor.name] = _shaped(place, tensor, spec)
    return msgspec.json.encode(given)


def _shaped(place: int, tensor: _Tensor, spec: TensorSpec) -> Any:
    """The data as nested lists of the item's own rank; a leading batch dimension of 1 is tolerated."""
    shape = tensor.shape
    if any(size < 0 for size in shape):
        raise InvalidInput(f"inputs[{place}].shape: {shape} holds a negative length")
    flat = _flatten(tensor.data)
    if len(flat) != prod(shape):
        raise InvalidInput(f"inputs[{place}].data: shape {shape} needs {prod(shape)} values, got {len(flat)}")
    if len(shape) == len(spec.shape) + 1 and shape[0] == 1:
        shape = shape[1:]
    if len(shape) != len(spec.shape):
        raise InvalidInput(f"inputs[{place}].shape: expected {list(spec.shape)}, got {tensor.shape}")
    return _fold(flat, shape)


def _flatten(data: Any) -> list[Any]:
    flat: list[Any] = []
    pending = [data]
    while pending:  # no recursion: the depth is the sender's
        part = pending.pop()
        if isinstance(part, list):
            pending.extend(reversed(part))
        else:
            flat.append(part)
    return flat


def _fold(flat: list[Any], shape: Sequence[int]) -> Any:
    if not shape:
        return flat[0]
    if len(shape) == 1:
        return flat
    step = len(flat) // shape[0] if shape[0] else 0
    return [_fold(flat[n * step : (n + 1) * step], shape[1:]) for n in range(shape[0])]
