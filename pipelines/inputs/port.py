"""The port: one model's inputs, from bytes to tensors."""

from collections.abc import Sequence
from typing import Protocol

from pipelines.ports import InvalidInput, Tensors


class Inputs(Protocol):
    """Of one model. Immutable; safe from any thread. Neither method raises for what is in the bytes."""

    def decode_many(self, raws: Sequence[bytes]) -> list[Tensors | InvalidInput]:
        """One outcome per input, in order."""
        ...

    def batch(self, raws: Sequence[bytes]) -> Tensors | None:
        """All of them as one tensor by name, with a batch dimension in front; None when any is off or shapes vary."""
        ...
