"""Element types: what JSON may hold for each dtype, how it is packed, and its name in the Open Inference Protocol."""

from typing import Any

import numpy as np

from schemas.model_spec import DType, TensorSpec

NUMPY: dict[DType, Any] = {
    "float16": np.float16, "float32": np.float32, "float64": np.float64,
    "int8": np.int8, "int16": np.int16, "int32": np.int32, "int64": np.int64,
    "uint8": np.uint8, "uint16": np.uint16, "uint32": np.uint32, "uint64": np.uint64,
    "bool": np.bool_, "string": np.object_,
}  # fmt: skip

OIP: dict[DType, str] = {
    "float16": "FP16", "float32": "FP32", "float64": "FP64",
    "int8": "INT8", "int16": "INT16", "int32": "INT32", "int64": "INT64",
    "uint8": "UINT8", "uint16": "UINT16", "uint32": "UINT32", "uint64": "UINT64",
    "bool": "BOOL", "string": "BYTES",
}  # fmt: skip

PACK: dict[DType, str] = {
    "float16": "e", "float32": "f", "float64": "d",
    "int8": "b", "int16": "h", "int32": "i", "int64": "q",
    "uint8": "B", "uint16": "H", "uint32": "I", "uint64": "Q",
    "bool": "?",
}  # fmt: skip
"""`struct` formats. Packing refuses what overflows, floats among integers, and wrong lengths."""

LONGEST_TUPLE = 256
"""A tuple's type names each of its elements."""


def is_float(dtype: DType) -> bool:
    return dtype.startswith("float")


def decoded(spec: TensorSpec) -> Any:
    """The type that msgspec decodes this input as: it refuses all else, and names the place."""
    return _nested(_element(spec), len(spec.shape))


def quickly_decoded(spec: TensorSpec) -> Any:
    """The same, but short rows as tuples of their length: they are packed in half the time. For input that is good: the
    errors of the other are clearer."""
    if len(spec.shape) == 1 and 0 < spec.shape[0] <= LONGEST_TUPLE:
        return tuple[(_element(spec),) * spec.shape[0]]  # type: ignore[misc]  # made at run time
    return decoded(spec)


def _element(spec: TensorSpec) -> Any:
    if spec.dtype == "bool":
        return bool
    if spec.dtype == "string":
        return str
    if is_float(spec.dtype):
        return float | None if spec.nan else float  # JSON has no NaN: null stands for it, as in outputs
    return int | float  # 3.0 is an integer to JSON; 3.5 is refused by the column


def _nested(element: Any, rank: int) -> Any:
    return element if rank == 0 else list[_nested(element, rank - 1)]  # type: ignore[misc]  # made at run time
