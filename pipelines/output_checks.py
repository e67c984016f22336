"""What a model answered, held against its declaration: the one place that judges outputs, whatever is written of them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pipelines.flow.served import InvalidOutput
from pipelines.inputs.kinds import NUMPY
from pipelines.ports import Tensors
from schemas.model_spec import TensorSpec

_OFF = (KeyError, ValueError, TypeError, OverflowError)


class OutputChecks:
    """Of one model. What fits comes back in the declared dtype, by name in the declared order; strings as objects.
    Immutable once made; safe from any thread."""

    def __init__(self, specs: Sequence[TensorSpec]) -> None:
        self._specs = specs
        self._names = {spec.name for spec in specs}

    def stacked(self, batch: Mapping[str, np.ndarray], count: int) -> Tensors | None:
        """Outputs of `count` items, a batch dimension in front; None when anything does not fit."""
        if len(batch) != len(self._specs):
            return None
        try:
            return {spec.name: _column(spec, batch[spec.name], count) for spec in self._specs}
        except _OFF:
            return None

    def many(self, outputs: Sequence[Mapping[str, Any]]) -> Tensors | None:
        """Outputs one by one, stacked: the quick way. None when any does not fit, and for strings and shapes that vary:
        `one` then tells."""
        if any(-1 in spec.shape or spec.dtype == "string" for spec in self._specs):
            return None
        try:
            if {*map(len, outputs)} != {len(self._specs)}:
                return None
            columns = {spec.name: np.array([output[spec.name] for output in outputs]) for spec in self._specs}
        except _OFF:
            return None
        return self.stacked(columns, len(outputs))

    def one(self, output: Any) -> Tensors | InvalidOutput:
        """One item's. Values are tensors, or whatever numpy makes tensors of."""
        if not isinstance(output, Mapping):
            return InvalidOutput(f"outputs: expected a dict by output name, got {type(output).__name__}")
        unknown = sorted(str(name) for name in output if name not in self._names)
        if unknown:
            return InvalidOutput(f"outputs.{unknown[0]}: not declared, expected: {', '.join(sorted(self._names))}")
        tensors: Tensors = {}
        for spec in self._specs:
            try:
                tensors[spec.name] = _tensor(spec, output[spec.name])
            except KeyError:
                return InvalidOutput(f"outputs.{spec.name}: missing")
            except _OFF as fault:
                return InvalidOutput(f"outputs.{spec.name}: {fault}")
        return tensors


def _column(spec: TensorSpec, column: np.ndarray, count: int) -> np.ndarray:
    if len(column) != count or not _fits(spec, column.shape[1:]):
        raise ValueError
    return _checked(spec, column)


def _tensor(spec: TensorSpec, given: Any) -> np.ndarray:
    """Raises ValueError with what does not fit."""
    tensor = np.asarray(given, dtype=object if spec.dtype == "string" else None)
    if not _fits(spec, tensor.shape):
        raise ValueError(f"expected shape {list(spec.shape)}, got {list(tensor.shape)}")
    return _checked(spec, tensor)


def _fits(spec: TensorSpec, shape: Sequence[int]) -> bool:
    return len(shape) == len(spec.shape) and all(want in (-1, got) for want, got in zip(spec.shape, shape, strict=True))


def _checked(spec: TensorSpec, tensor: np.ndarray) -> np.ndarray:
    """Of the right shape, apart from a batch dimension. Raises ValueError with what does not fit."""
    if spec.dtype == "string":
        return _texts(tensor)
    tensor = _cast(tensor, spec)
    if tensor.dtype.kind == "f" and not spec.nan and not np.isfinite(tensor).all():
        raise ValueError("holds NaN or an infinity (model.yaml allows them with `nan: true`)")
    return tensor


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


def _texts(given: np.ndarray) -> np.ndarray:
    tensor = given.astype(object, copy=False)
    for text in tensor.flat:
        if not isinstance(text, str):
            raise ValueError(f"expected string, got {type(text).__name__}")
        try:
            text.encode()
        except UnicodeEncodeError:
            raise ValueError("holds half a surrogate pair, expected valid Unicode") from None
    return tensor
