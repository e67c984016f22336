"""Rows of the input as the model takes them."""

from collections.abc import Mapping, Sequence

import numpy as np
from msgspec import Struct

from pipelines.ports import InvalidInput, Tensors


class Stacked(Struct, frozen=True):
    """Good rows in one tensor per input, a batch dimension in front."""

    tensors: Tensors
    count: int


class Each(Struct, frozen=True):
    """Good rows one by one: their shapes vary, or the model has code of its own for each."""

    items: Sequence[Tensors]

    @property
    def count(self) -> int:
        return len(self.items)


class Rows(Struct, frozen=True):
    """Of one record batch."""

    given: Stacked | Each
    good: np.ndarray | None
    """Places of the good rows in the batch, rising; None: all of them."""
    bad: Mapping[int, InvalidInput]
    """The others, by place."""
