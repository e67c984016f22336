"""Which types of columns an input can be read from: what can be cast without a change of meaning."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.types as types

from pipelines.inputs.kinds import is_float
from schemas.model_spec import TensorSpec


def is_list(kind: pa.DataType) -> bool:
    return any(
        test(kind)
        for test in (
            types.is_list,
            types.is_large_list,
            types.is_fixed_size_list,
            types.is_list_view,
            types.is_large_list_view,
        )
    )


def is_side_by_side(spec: TensorSpec, kinds: Sequence[pa.DataType]) -> bool:
    """Whether the tensor's one dimension is made of columns of single values, and not of lists."""
    if len(kinds) > 1:
        return True
    return len(spec.shape) == 1 and not is_list(kinds[0]) and not types.is_null(kinds[0])


def misfit(spec: TensorSpec, kind: pa.DataType, alone: bool) -> str | None:
    """What was expected of a column of this type; None: it fits. `alone`: it is the input's only one."""
    if not alone or (spec.shape in ((1,), (-1,)) and not is_list(kind)):
        return None if _is_element(spec, kind) else _elements(spec)
    inner = kind
    for size in spec.shape:
        if types.is_null(inner):
            return None
        if not is_list(inner) or (types.is_fixed_size_list(inner) and size not in (-1, inner.list_size)):
            return _lists(spec)
        inner = inner.value_type
    return None if _is_element(spec, inner) else _lists(spec)


def _is_element(spec: TensorSpec, kind: pa.DataType) -> bool:
    if types.is_dictionary(kind):
        kind = kind.value_type
    if types.is_null(kind):
        return True  # nothing but nulls: each row tells
    if spec.dtype == "bool":
        return bool(types.is_boolean(kind))
    if spec.dtype == "string":
        return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))
    if is_float(spec.dtype):
        return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind))
    return bool(types.is_integer(kind))


def _elements(spec: TensorSpec) -> str:
    if is_float(spec.dtype):
        return "floats, integers or decimals"
    return {"bool": "booleans", "string": "strings"}.get(spec.dtype, "integers")


def _lists(spec: TensorSpec) -> str:
    lists = "".join("lists of " if size == -1 else f"lists of {size} " for size in spec.shape)
    beside = f", or {spec.shape[0]} columns of them" if len(spec.shape) == 1 and spec.shape[0] > 1 else ""
    return f"{lists}{_elements(spec)}{beside}"
