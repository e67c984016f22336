"""Numbers of a column in a tensor's dtype, all at once, and which of them do not fit."""

from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.types as types

from pipelines.inputs.kinds import NUMPY
from pipelines.scoring.arrays import values_of
from schemas.model_spec import TensorSpec

Fine: TypeAlias = np.ndarray | None
"""Which places hold what fits, a bool each; None: all. What stands at the others means nothing."""


def numbers(array: pa.Array, spec: TensorSpec) -> tuple[np.ndarray, Fine]:
    """One number per value. The same values, and the same places off, as `pipelines.inputs.column.Column` has them. May
    be a view of the column's memory, which is not to be written to."""
    array = _plain(array)
    if not array.null_count:
        return _cast(values_of(array), spec)
    there = array.is_valid().to_numpy(zero_copy_only=False)
    # Filled first: numpy would make floats of integers that have nulls.
    filled = array.fill_null(False if types.is_boolean(array.type) else 0)
    values, fine = _cast(values_of(filled), spec)
    if not spec.nan:
        return values, both(there, fine)
    return np.where(there, values, values.dtype.type("nan")), fine


def both(one: Fine, other: Fine) -> Fine:
    if one is None or other is None:
        return other if one is None else one
    fine: np.ndarray = one & other
    return fine


def _plain(array: pa.Array) -> pa.Array:
    """Without dictionary, nulls without a type as nulls of one, and decimals as floats."""
    if types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if types.is_null(array.type):
        return array.cast(pa.bool_())
    if types.is_decimal(array.type):
        # By way of text: Arrow's own cast does not round every one correctly.
        return array.cast(pa.string()).cast(pa.float64())
    return array


def _cast(source: np.ndarray, spec: TensorSpec) -> tuple[np.ndarray, Fine]:
    wanted = np.dtype(NUMPY[spec.dtype])
    if wanted.kind == "f":
        return _floats(source, wanted, spec.nan)
    if wanted.kind == "b" or np.can_cast(source.dtype, wanted):
        return source.astype(wanted, copy=False), None
    limits = np.iinfo(wanted)
    if source.size == 0 or (int(source.min()) >= limits.min and int(source.max()) <= limits.max):
        return source.astype(wanted), None
    # Compared as Python's integers are: numpy finds -1 larger than no uint64, and refuses 2**64 - 1 beside an int64.
    low, high = np.iinfo(source.dtype).min, np.iinfo(source.dtype).max
    return source.astype(wanted), (source >= max(low, limits.min)) & (source <= min(high, limits.max))


def _floats(source: np.ndarray, wanted: np.dtype, nan: bool) -> tuple[np.ndarray, Fine]:
    if source.dtype.kind != "f" and (source.dtype.itemsize == 8 or wanted.itemsize == 2):
        source = source.astype(np.float64)  # rounded twice, as JSON's numbers are
    with np.errstate(over="ignore", invalid="ignore"):
        values = source.astype(wanted, copy=False)
    fine = np.isfinite(values)
    if fine.all():
        return values, None
    if nan:
        fine |= ~np.isfinite(source)  # what was finite before overflowed
        return values, None if fine.all() else fine
    return values, fine
