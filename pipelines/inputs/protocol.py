"""The Open Inference Protocol's form of an input: a list of named tensors with shape and datatype."""

from collections.abc import Sequence
from math import prod
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from pipelines.inputs.faults import shape_of, shown
from pipelines.inputs.kinds import OIP
from pipelines.ports import InvalidInput
from schemas.model_spec import TensorSpec


class _Tensor(Struct, forbid_unknown_fields=True):
    name: str
    shape: list[Annotated[int, Meta(ge=0, le=2**31)]]
    datatype: str
    data: Any
    parameters: dict[str, Any] = {}


_decode = msgspec.json.Decoder(list[_Tensor]).decode


def from_protocol(inputs: bytes, specs: Sequence[TensorSpec]) -> dict[str, Any]:
    """The same input by name, as nested lists. Raises InvalidInput; msgspec's own errors and RecursionError pass through."""
    by_name = {spec.name: spec for spec in specs}
    given: dict[str, Any] = {}
    for place, tensor in enumerate(_decode(inputs)):
        spec = by_name.get(tensor.name)
        where = f"inputs[{place}]"
        if spec is None:
            raise InvalidInput(f"{where}.name: {shown(tensor.name)} is unknown, the model takes: {', '.join(by_name)}")
        if tensor.name in given:
            raise InvalidInput(f"{where}.name: {tensor.name} is given twice")
        if tensor.datatype != OIP[spec.dtype]:
            raise InvalidInput(f"{where}.datatype: expected {OIP[spec.dtype]}, got {shown(tensor.datatype)}")
        given[tensor.name] = _shaped(where, tensor, spec)
    return given


def _shaped(where: str, tensor: _Tensor, spec: TensorSpec) -> Any:
    """The data as nested lists of the item's own rank; a leading batch dimension of 1 is tolerated."""
    shape = tensor.shape
    if len(shape) == len(spec.shape) + 1 and shape[0] == 1:
        shape = shape[1:]
    fits = len(shape) == len(spec.shape) and all(
        want == got or (want == -1 and got > 0) for want, got in zip(spec.shape, shape, strict=True)
    )
    if not fits:
        raise InvalidInput(f"{where}.shape: expected {list(spec.shape)}, got {_brief(tensor.shape)}")
    if _is_more(tensor.data, prod(shape)):  # before each of them is looked at
        raise InvalidInput(f"{where}.data: more than {prod(shape)} values, expected shape {_brief(tensor.shape)}")
    is_shape = shape_of(tensor.data)
    if is_shape is None:
        raise InvalidInput(f"{where}.data: rows of different lengths, expected shape {_brief(tensor.shape)}")
    if is_shape not in (tuple(tensor.shape), (prod(tensor.shape),)):
        needs = f"shape {_brief(tensor.shape)} or {prod(shape)} values in one list"
        raise InvalidInput(f"{where}.data: expected {needs}, got shape {_brief(is_shape)}")
    return _fold(_flat(tensor.data), shape)


def _is_more(data: Any, most: int) -> bool:
    """Whether there are more than so many values, or lists, on any level."""
    level = [data]
    while level := [row for row in level if isinstance(row, list)]:
        if sum(map(len, level)) > most:
            return True
        level = [value for row in level for value in row]
    return False


def _brief(shape: Sequence[int]) -> str:
    return str(list(shape)) if len(shape) <= 8 else f"{list(shape[:8])} and {len(shape) - 8} more"


def _flat(data: Any) -> list[Any]:
    while isinstance(data, list) and data and isinstance(data[0], list):
        data = [element for row in data for element in row]
    return data if isinstance(data, list) else [data]


def _fold(flat: list[Any], shape: Sequence[int]) -> Any:
    if not shape:
        return flat[0]
    for size in reversed(shape[1:]):
        flat = [flat[n : n + size] for n in range(0, len(flat), size)]
    return flat
