"""Outputs: named tensors in, JSON by output name out; what does not fit its declaration is a value, not an exception."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from pipelines.flow.served import InvalidOutput
from pipelines.inputs.kinds import NUMPY
from schemas.model_spec import ModelSpec, TensorSpec

_encode = msgspec.json.Encoder().encode


class OutputCodec:
    def __init__(self, spec: ModelSpec) -> None:
        self._specs = spec.outputs
        self._names = {tensor.name for tensor in spec.outputs}

    def encode_many(self, outputs: Sequence[Mapping[str, Any]]) -> list[bytes | InvalidOutput]:
        """One outcome per output, in order. With `nan: true`, NaN and infinities are written as null: JSON has neither."""
        if not outputs:
            return []
        try:
            columns = [self._column(spec, [output[spec.name] for output in outputs]) for spec in self._specs]
        except (KeyError, ValueError, TypeError):
            return [self._one(output) for output in outputs]
        if len(columns) == 1:
            name = self._specs[0].name
            return [_encode({name: value}) for value in columns[0]]
        names = [spec.name for spec in self._specs]
        return [_encode(dict(zip(names, values, strict=True))) for values in zip(*columns, strict=True)]

    def _column(self, spec: TensorSpec, values: list[Any]) -> list[Any]:
        if -1 in spec.shape:
            raise ValueError
        column = np.stack(values) if spec.shape else np.asarray(values)
        if column.shape != (len(values), *spec.shape) or not _castable(column, spec):
            raise ValueError
        if column.dtype.kind == "f" and not np.isfinite(column).all():
            raise ValueError
        return column.tolist()  # type: ignore[no-any-return]

    def _one(self, output: Mapping[str, Any]) -> bytes | InvalidOutput:
        unknown = sorted(set(output) - self._names)
        if unknown:
            return InvalidOutput(f"outputs.{unknown[0]}: not declared, expected: {', '.join(sorted(self._names))}")
        values: dict[str, Any] = {}
        for spec in self._specs:
            if spec.name not in output:
                return InvalidOutput(f"outputs.{spec.name}: missing")
            tensor = np.asarray(output[spec.name])
            fault = _fault(tensor, spec)
            if fault is not None:
                return InvalidOutput(f"outputs.{spec.name}: {fault}")
            values[spec.name] = _without_nan(tensor) if tensor.dtype.kind == "f" else tensor.tolist()
        return _encode(values)


def _fault(tensor: np.ndarray, spec: TensorSpec) -> str | None:
    fits = len(tensor.shape) == len(spec.shape) and all(
        want in (-1, got) for want, got in zip(spec.shape, tensor.shape, strict=True)
    )
    if not fits:
        return f"expected shape {list(spec.shape)}, got {list(tensor.shape)}"
    if not _castable(tensor, spec):
        return f"expected {spec.dtype}, got {tensor.dtype}"
    if tensor.dtype.kind == "f" and not spec.nan and not np.isfinite(tensor).all():
        return "holds NaN or an infinity (model.yaml allows them with `nan: true`)"
    return None


def _castable(tensor: np.ndarray, spec: TensorSpec) -> bool:
    if spec.dtype == "string":
        return tensor.dtype.kind in "UO"
    return bool(np.can_cast(tensor.dtype, NUMPY[spec.dtype], casting="same_kind"))


def _without_nan(tensor: np.ndarray) -> Any:
    if np.isfinite(tensor).all():
        return tensor.tolist()
    values = tensor.astype(object)
    values[~np.isfinite(tensor)] = None
    return values.tolist()
