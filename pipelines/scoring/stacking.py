"""One input's columns as one tensor with a batch dimension in front, all rows at once."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as types

from pipelines.inputs.kinds import NUMPY
from pipelines.scoring.numbers import Fine, both, numbers
from schemas.model_spec import TensorSpec

_BLOCK_BYTES = 512 * 1024
"""Of the stacked tensor, written column by column: it stays in the cache."""


def side_by_side(arrays: Sequence[pa.Array], spec: TensorSpec) -> tuple[np.ndarray, Fine]:
    """Columns of single values as shape (rows, columns), writable."""
    columns: list[np.ndarray] = []
    fine: Fine = None
    for array in arrays:
        values, which = numbers(array, spec)
        columns.append(values)
        fine = both(fine, which)
    return _written(columns, np.dtype(NUMPY[spec.dtype])), fine


def nested(array: pa.Array, spec: TensorSpec) -> tuple[np.ndarray, Fine]:
    """A column of the tensor's own rank as shape (rows, *shape), writable. Only of a fixed shape."""
    values, fine = _nested(array, spec.shape, spec)
    return np.require(values, requirements=["C", "W"]), fine


def _written(columns: Sequence[np.ndarray], dtype: np.dtype) -> np.ndarray:
    """In blocks of rows: column by column over all of them, each line of memory would be fetched once per column."""
    rows, width = len(columns[0]), len(columns)
    out = np.empty((rows, width), dtype=dtype)
    block = max(1, _BLOCK_BYTES // (dtype.itemsize * width))
    for start in range(0, rows, block):
        part = out[start : start + block]
        for place, column in enumerate(columns):
            part[:, place] = column[start : start + block]
    return out


def _nested(array: pa.Array, shape: tuple[int, ...], spec: TensorSpec) -> tuple[np.ndarray, Fine]:
    if not shape:
        return numbers(array, spec)
    if types.is_null(array.type):
        nothing = np.zeros((len(array), *shape), dtype=NUMPY[spec.dtype])
        return nothing, np.zeros(len(array), dtype=bool) if len(array) else None
    there = _of_length(array, shape[0])
    below = array if there is None else array.filter(pa.array(there))
    values, fine = _nested(below.flatten(), shape[1:], spec)
    values = values.reshape(len(below), *shape)
    if fine is not None:
        fine = np.logical_and.reduce(fine.reshape(len(below), shape[0]), axis=1)
    if there is None:
        return values, fine
    return _spread(values, fine, there)


def _of_length(array: pa.Array, length: int) -> Fine:
    """Which lists are that long; a null is not."""
    if types.is_fixed_size_list(array.type) and not array.null_count:
        return None
    there: np.ndarray = pc.equal(pc.list_value_length(array), length).fill_null(False).to_numpy(zero_copy_only=False)
    return None if there.all() else there


def _spread(values: np.ndarray, fine: Fine, there: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Back to one place for each row."""
    spread = np.zeros((len(there), *values.shape[1:]), dtype=values.dtype)
    spread[there] = values
    which = there.copy()
    if fine is not None:
        which[there] = fine
    return spread, which
