"""Arrow's arrays of numpy's and the other way round, without a copy.

`pyarrow.array` and `Array.to_numpy` ask first whether it is about something of pandas, and import pandas for that where it is
installed: a fifth of a second, which a run that goes on after a kill has better uses for.
"""

import numpy as np
import pyarrow as pa
import pyarrow.types as types


def array_of(values: np.ndarray, kind: pa.DataType | None = None) -> pa.Array:
    """One value per number, none of them null. `values`: of one dimension; not to be written to afterwards. `kind`: what the
    numbers are in Arrow, for what has another name there or another width."""
    own = None if values.dtype.kind not in "iuf" or not values.dtype.isnative else pa.from_numpy_dtype(values.dtype)
    if own is None or (kind is not None and kind != own):
        return pa.array(values, type=kind)
    return pa.Array.from_buffers(own, len(values), [None, pa.py_buffer(np.ascontiguousarray(values))])


def values_of(array: pa.Array) -> np.ndarray:
    """Of an array without nulls. Not to be written to."""
    kind = array.type
    if not (types.is_integer(kind) or types.is_floating(kind)):
        other: np.ndarray = array.to_numpy(zero_copy_only=False)
        return other
    values: np.ndarray = np.frombuffer(array.buffers()[1] or b"", dtype=kind.to_pandas_dtype())
    return values[array.offset : array.offset + len(array)]
