"""Outputs: named tensors in, JSON by output name out; what does not fit its declaration is a value, not an exception."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from pipelines.flow.served import InvalidOutput
from pipelines.inputs.kinds import NUMPY
from schemas.model_spec import ModelSpec, TensorSpec

_encode = msgspec.json.Encoder().encode
_OFF = (KeyError, ValueError, TypeError, OverflowError)


class OutputCodec:
    """Of one model. Immutable once made; safe from any thread."""

    def __init__(self, spec: ModelSpec) -> None:
        self._specs = spec.outputs
        self._names = {tensor.name for tensor in spec.outputs}

    def encode_many(self, outputs: Sequence[Mapping[str, Any]]) -> list[bytes | InvalidOutput]:
        """One outcome per output, in order: JSON by output name, or what does not fit. Values are tensors, or whatever
        numpy makes tensors of. With `nan: true`, NaN and infinities are written as null: JSON has neither."""
        if not outputs:
            return []
        try:
            columns = [self._column(spec, outputs) for spec in self._specs]
        except _OFF:
            return [self._one(output) for output in outputs]
        return self._encoded(columns)  # type: ignore[return-value]  # bytes all

    def encode_batch(self, batch: Mapping[str, np.ndarray], count: int) -> list[bytes] | None:
        """Stacked outputs of `count` items, by name; None when anything does not fit: `encode_many` then tells."""
        if len(batch) != len(self._specs):
            return None
        try:
            columns = [self._fitting(spec, batch[spec.name], count) for spec in self._specs]
        except _OFF:
            return None
        return self._encoded(columns)

    def _encoded(self, columns: Sequence[list[Any]]) -> list[bytes]:
        """One object for each row."""
        if len(columns) == 1:
            name = self._specs[0].name
            return [_encode({name: value}) for value in columns[0]]
        names = [spec.name for spec in self._specs]
        return [_encode(dict(zip(names, values, strict=True))) for values in zip(*columns, strict=True)]

    def _column(self, spec: TensorSpec, outputs: Sequence[Mapping[str, Any]]) -> list[Any]:
        """The quick way: raises one of _OFF when any value is off, or is none of the common kinds."""
        if {*map(len, outputs)} != {len(self._specs)}:
            raise ValueError
        return self._fitting(spec, np.array([output[spec.name] for output in outputs]), len(outputs))

    def _fitting(self, spec: TensorSpec, column: np.ndarray, count: int) -> list[Any]:
        if -1 in spec.shape or spec.dtype == "string" or column.shape != (count, *spec.shape):
            raise ValueError
        column = _cast(column, spec)
        if column.dtype.kind == "f" and not np.isfinite(column).all():
            raise ValueError
        return column.tolist()  # type: ignore[no-any-return]

    def _one(self, output: Any) -> bytes | InvalidOutput:
        if not isinstance(output, Mapping):
            return InvalidOutput(f"outputs: expected a dict by output name, got {type(output).__name__}")
        unknown = sorted(str(name) for name in output if name not in self._names)
        if unknown:
            return InvalidOutput(f"outputs.{unknown[0]}: not declared, expected: {', '.join(sorted(self._names))}")
        values: dict[str, Any] = {}
        for spec in self._specs:
            try:
                values[spec.name] = _value(spec, output[spec.name])
            except KeyError:
                return InvalidOutput(f"outputs.{spec.name}: missing")
            except _OFF as fault:
                return InvalidOutput(f"outputs.{spec.name}: {fault}")
        return _encode(values)


def _value(spec: TensorSpec, given: Any) -> Any:
    """Python's own numbers, strings and lists. Raises ValueError with what does not fit."""
    tensor = np.asarray(given, dtype=object if spec.dtype == "string" else None)
    fits = tensor.ndim == len(spec.shape) and all(
        want in (-1, got) for want, got in zip(spec.shape, tensor.shape, strict=True)
    )
    if not fits:
        raise ValueError(f"expected shape {list(spec.shape)}, got {list(tensor.shape)}")
    if spec.dtype == "string":
        return _texts(tensor)
    tensor = _cast(tensor, spec)
    if tensor.dtype.kind != "f" or np.isfinite(tensor).all():
        return tensor.tolist()
    if not spec.nan:
        raise ValueError("holds NaN or an infinity (model.yaml allows them with `nan: true`)")
    values = tensor.astype(object)
    values[~np.isfinite(tensor)] = None
    return values.tolist()


def _cast(tensor: np.ndarray, spec: TensorSpec) -> np.ndarray:
    """To the declared dtype. Raises ValueError when that would change more than a float's precision."""
    wanted = np.dtype(NUMPY[spec.dtype])
    if tensor.dtype == wanted:
        return tensor
    kinds = {"f": "biuf", "i": "biu", "u": "biu", "b": "b"}[wanted.kind]
    if tensor.dtype.kind not in kinds:
        raise ValueError(f"expected {spec.dtype}, got {tensor.dtype}")
    if wanted.kind in "iu" and tensor.size and tensor.dtype.kind != "b":
        limits = np.iinfo(wanted)
        if int(tensor.min()) < limits.min or int(tensor.max()) > limits.max:
            raise ValueError(f"out of range, expected {spec.dtype} from {limits.min} to {limits.max}")
    with np.errstate(over="ignore"):
        cast = tensor.astype(wanted)
    if wanted.kind == "f" and np.isinf(cast).sum() > (np.isinf(tensor).sum() if tensor.dtype.kind == "f" else 0):
        raise ValueError(f"out of range, expected {spec.dtype}")
    return cast


def _texts(tensor: np.ndarray) -> Any:
    for text in tensor.flat:
        if not isinstance(text, str):
            raise ValueError(f"expected string, got {type(text).__name__}")
        try:
            text.encode()
        except UnicodeEncodeError:
            raise ValueError("holds half a surrogate pair, expected valid Unicode") from None
    return tensor.tolist()
