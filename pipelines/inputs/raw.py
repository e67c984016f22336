"""Raw tensors: an input's value is the little-endian bytes of the model's one input, in C order."""

from collections.abc import Sequence
from math import prod

import numpy as np

from pipelines.inputs.faults import expected
from pipelines.inputs.kinds import NUMPY, is_float
from pipelines.ports import InvalidInput, Tensors
from schemas.model_spec import ModelSpec


class RawInputs:
    """A `pipelines.inputs.Inputs`. Raises ValueError, one line, for a model whose input has no fixed number of bytes."""

    def __init__(self, spec: ModelSpec) -> None:
        tensor = spec.inputs[0]
        if len(spec.inputs) != 1 or tensor.dtype == "string" or -1 in tensor.shape:
            raise ValueError(
                f"model {spec.name}: raw tensors need exactly one input, of numbers and of fixed shape; "
                f"it takes {', '.join(f'{each.name} {each.dtype} {expected(each)}' for each in spec.inputs)}"
            )
        self._spec = tensor
        self._native = np.dtype(NUMPY[tensor.dtype])
        self._wire = self._native.newbyteorder("<")
        self._bytes = self._wire.itemsize * prod(tensor.shape)
        self._finite = is_float(tensor.dtype) and not tensor.nan

    def decode_many(self, raws: Sequence[bytes]) -> list[Tensors | InvalidInput]:
        batch = self.batch(raws)
        if batch is None:
            return [self._one(raw) for raw in raws]
        name, column = self._spec.name, batch[self._spec.name]
        return [{name: column[n, ...]} for n in range(len(raws))]

    def batch(self, raws: Sequence[bytes]) -> Tensors | None:
        wanted = self._bytes
        if any([len(raw) != wanted for raw in raws]):  # noqa: C419  # a list is quicker here
            return None
        joined = bytearray().join(raws)  # a bytearray, so that the tensor can be written to
        if self._spec.dtype == "bool" and joined.translate(None, b"\0\1"):
            return None
        column = np.frombuffer(joined, dtype=self._wire).reshape(len(raws), *self._spec.shape)
        if self._finite and not np.isfinite(column).all():
            return None
        return {self._spec.name: column.astype(self._native, copy=False)}

    def _one(self, raw: bytes) -> Tensors | InvalidInput:
        batch = self.batch([raw])
        if batch is not None:
            return {self._spec.name: batch[self._spec.name][0, ...]}
        shape = f"{self._spec.dtype} {list(self._spec.shape)}"
        if len(raw) != self._bytes:
            return InvalidInput(f"value: {len(raw)} bytes, expected {self._bytes} ({shape}, little-endian)")
        off = "bytes that are neither 0 nor 1" if self._spec.dtype == "bool" else "NaN or an infinity"
        return InvalidInput(f"inputs.{self._spec.name}: holds {off}, expected {shape}")
