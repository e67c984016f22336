"""One input of a model: from decoded values to tensors. Quick while all is well, careful to find what is not."""

import struct
from collections.abc import Iterable
from typing import Any

import numpy as np

from pipelines.inputs.faults import careful
from pipelines.inputs.kinds import NUMPY, PACK, is_float
from schemas.model_spec import TensorSpec

OFF = (struct.error, ValueError, OverflowError, TypeError)
"""What the quick way raises when any value is off."""


class Column:
    """Immutable once made."""

    def __init__(self, field: str, spec: TensorSpec) -> None:
        self.field = field
        self.name = spec.name
        self._spec = spec
        self._dtype = np.dtype(NUMPY[spec.dtype])
        self._float = is_float(spec.dtype)
        fixed = -1 not in spec.shape
        self.columnar = fixed and spec.dtype != "string"
        """Whether every value has one shape."""
        # Rows of numbers are packed: twice as quick as np.array on lists of lists. Native sizes are what numpy has.
        packable = fixed and len(spec.shape) <= 1 and spec.dtype in PACK and not spec.nan
        count = spec.shape[0] if spec.shape else 1
        self._pack = struct.Struct(f"{count}{PACK[spec.dtype]}").pack if packable and count > 0 else None

    def many(self, values: list[Any]) -> Iterable[np.ndarray]:
        """One tensor per value, writable. Raises one of OFF when any value is off; `one` then tells which and why."""
        if self.columnar:
            return _rows(self.batch(values))
        return [self._single(value) for value in values]

    def batch(self, values: list[Any]) -> np.ndarray:
        """One tensor of all, with a batch dimension in front, writable; only when `columnar`. Raises as `many` does."""
        if self._pack is not None:
            return self._packed(values)
        return self._array(values, (len(values), *self._spec.shape))

    def one(self, value: Any) -> np.ndarray:
        """Raises InvalidInput."""
        try:
            (tensor,) = self.many([value])
        except OFF:
            return careful(self._spec, value)
        return tensor

    def _packed(self, values: list[Any]) -> np.ndarray:
        assert self._pack is not None
        pack = self._pack
        rows = [pack(*value) for value in values] if self._spec.shape else [pack(value) for value in values]
        packed: np.ndarray = np.frombuffer(bytearray().join(rows), dtype=self._dtype)
        if self._float and not np.isfinite(packed).all():
            raise ValueError
        return packed.reshape(len(values), *self._spec.shape)

    def _single(self, value: Any) -> np.ndarray:
        if self._spec.dtype == "string":
            return careful(self._spec, value)
        return self._array(value, self._spec.shape)

    def _array(self, value: Any, shape: tuple[int, ...]) -> np.ndarray:
        # Integers without a dtype: with one, numpy would cut 3.5 to 3 without a word.
        array = np.array(value, dtype=np.float64 if self._float else None)
        if array.ndim != len(shape) or any(want not in (-1, got) for want, got in zip(shape, array.shape, strict=True)):
            raise ValueError
        if self._float:
            return self._floats(array)
        if array.dtype.kind not in ("b" if self._spec.dtype == "bool" else "iu") or not array.size:
            raise ValueError
        if self._spec.dtype != "bool":
            limits = np.iinfo(self._dtype)
            if int(array.min()) < limits.min or int(array.max()) > limits.max:
                raise OverflowError
        return array.astype(self._dtype, copy=False)

    def _floats(self, wide: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore"):
            array = wide.astype(self._dtype, copy=False)
        # With `nan`, an infinity that was none before overflowed. JSON has none, a data set may.
        fine = np.isfinite(array) | ~np.isfinite(wide) if self._spec.nan else np.isfinite(array)
        if not array.size or not fine.all():
            raise ValueError
        return array


def _rows(column: np.ndarray) -> Iterable[np.ndarray]:
    if column.ndim > 1:
        return column
    return [column[n : n + 1].reshape(()) for n in range(len(column))]  # iterating would give scalars, not tensors
