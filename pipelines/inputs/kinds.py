"""Element types: what JSON may hold for each dtype, and its names in the Open Inference Protocol."""

from typing import Annotated, Any

import msgspec
import numpy as np

from schemas.model_spec import DType

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


def element(dtype: DType) -> Any:
    """The type msgspec decodes an element as: it refuses all else, and names the place."""
    if dtype == "bool":
        return bool
    if dtype == "string":
        return str
    if dtype.startswith("float"):
        return float
    limits = np.iinfo(NUMPY[dtype])
    if dtype in ("int64", "uint64"):  # msgspec's own integers end there
        return int if dtype == "int64" else Annotated[int, msgspec.Meta(ge=0)]
    return Annotated[int, msgspec.Meta(ge=int(limits.min), le=int(limits.max))]


def nested(dtype: DType, rank: int) -> Any:
    """`rank` lists deep."""
    return element(dtype) if rank == 0 else list[nested(dtype, rank - 1)]  # type: ignore[misc]  # made at run time
