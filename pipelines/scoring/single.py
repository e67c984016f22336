"""One input's columns row by row, by online's own code: for strings, and for shapes that vary."""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from pipelines.inputs.column import Column
from pipelines.inputs.kinds import decoded
from pipelines.ports import InvalidInput
from pipelines.scoring.numbers import Fine
from pipelines.scoring.values import python_values
from schemas.model_spec import TensorSpec

_ROWS = 1024
"""Made Python values at a time: these take many times the memory of the columns."""


class Single:
    """Of one input. Immutable once made."""

    def __init__(self, spec: TensorSpec) -> None:
        self._type = decoded(spec)
        self._column = Column("", spec)

    def tensors(self, arrays: Sequence[pa.Array], beside: bool) -> tuple[list[np.ndarray | None], Fine]:
        """One per row; None where it does not fit. `beside`: the columns are the elements of the one dimension."""
        found = [self._one(value) for value in row_values(arrays, beside)]
        fine = np.array([tensor is not None for tensor in found], dtype=bool)
        return found, None if fine.all() else fine

    def _one(self, value: Any) -> np.ndarray | None:
        try:
            return self._column.one(msgspec.convert(value, self._type))
        except (InvalidInput, msgspec.ValidationError):
            return None


def row_values(arrays: Sequence[pa.Array], beside: bool) -> Iterator[Any]:
    """The input's value in each row, as Python has it."""
    for start in range(0, len(arrays[0]), _ROWS):
        columns = [python_values(array.slice(start, _ROWS)) for array in arrays]
        yield from (list(row) for row in zip(*columns, strict=True)) if beside else columns[0]
