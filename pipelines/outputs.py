"""Outputs: named tensors in, JSON by output name out; what does not fit its declaration is a value, not an exception."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from pipelines.flow.served import InvalidOutput
from pipelines.output_checks import OutputChecks
from schemas.model_spec import ModelSpec

_encode = msgspec.json.Encoder().encode


class OutputCodec:
    """Of one model. Immutable once made; safe from any thread."""

    def __init__(self, spec: ModelSpec) -> None:
        self._names = [tensor.name for tensor in spec.outputs]
        self._checks = OutputChecks(spec.outputs)

    def encode_many(self, outputs: Sequence[Mapping[str, Any]]) -> list[bytes | InvalidOutput]:
        """One outcome per output, in order: JSON by output name, or what does not fit. Values are tensors, or whatever
        numpy makes tensors of. With `nan: true`, NaN and infinities are written as null: JSON has neither."""
        if not outputs:
            return []
        checked = self._checks.many(outputs)
        if checked is None:
            return [self._one(output) for output in outputs]
        return self._encoded(checked)  # type: ignore[return-value]  # bytes all

    def encode_batch(self, batch: Mapping[str, np.ndarray], count: int) -> list[bytes] | None:
        """Stacked outputs of `count` items, by name; None when anything does not fit: `encode_many` then tells."""
        checked = self._checks.stacked(batch, count)
        return None if checked is None else self._encoded(checked)

    def _encoded(self, checked: Mapping[str, np.ndarray]) -> list[bytes]:
        """One object for each row."""
        columns = [_values(checked[name]) for name in self._names]
        if len(columns) == 1:
            name = self._names[0]
            return [_encode({name: value}) for value in columns[0]]
        return [_encode(dict(zip(self._names, values, strict=True))) for values in zip(*columns, strict=True)]

    def _one(self, output: Any) -> bytes | InvalidOutput:
        checked = self._checks.one(output)
        if isinstance(checked, InvalidOutput):
            return checked
        return _encode({name: _values(tensor) for name, tensor in checked.items()})


def _values(tensor: np.ndarray) -> Any:
    """Python's own numbers, strings and lists; None for what JSON has no number for."""
    if tensor.dtype.kind != "f" or np.isfinite(tensor).all():
        return tensor.tolist()
    values = tensor.astype(object)
    values[~np.isfinite(tensor)] = None
    return values.tolist()
