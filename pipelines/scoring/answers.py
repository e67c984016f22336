"""From a model's outputs to columns."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from pipelines.flow.served import InvalidOutput
from pipelines.output_checks import OutputChecks
from pipelines.ports import Tensors
from pipelines.scoring.arrays import array_of
from schemas.model_spec import DType, ModelSpec, TensorSpec

_ARROW: dict[DType, pa.DataType] = {
    "float16": pa.float16(), "float32": pa.float32(), "float64": pa.float64(),
    "int8": pa.int8(), "int16": pa.int16(), "int32": pa.int32(), "int64": pa.int64(),
    "uint8": pa.uint8(), "uint16": pa.uint16(), "uint32": pa.uint32(), "uint64": pa.uint64(),
    "bool": pa.bool_(), "string": pa.string(),
}  # fmt: skip


class AnswerWriter:
    """Of one model. Immutable once made; safe from any thread. NaN and infinities that model.yaml allows stay what they
    are: columns have them, unlike JSON."""

    def __init__(self, spec: ModelSpec) -> None:
        self._specs = spec.outputs
        self._checks = OutputChecks(spec.outputs)
        self.schema: pa.Schema = pa.schema([(tensor.name, _kind(tensor)) for tensor in spec.outputs])
        """A column for each output: values, or lists nested as deep as the shape, of fixed size where the shape is."""

    def stacked(self, outputs: Mapping[str, np.ndarray], count: int) -> list[pa.Array] | None:
        """Columns of `count` rows in the order of `schema`, from tensors with a batch dimension in front; None when
        anything does not fit: `each` then tells. They share the tensors' memory."""
        checked = self._checks.stacked(outputs, count)
        if checked is None:
            return None
        columns = [(spec, checked[spec.name]) for spec in self._specs]
        return [
            _column(spec, np.broadcast_to(tensor.shape[1:], (count, tensor.ndim - 1)), tensor)
            for spec, tensor in columns
        ]

    def each(self, outputs: Sequence[Tensors | InvalidOutput]) -> list[Tensors | InvalidOutput]:
        """One outcome per output, in order: what `columns` takes, or what does not fit."""
        return [output if isinstance(output, InvalidOutput) else self._checks.one(output) for output in outputs]

    def columns(self, answers: Sequence[Tensors]) -> list[pa.Array]:
        """Columns in the order of `schema`, of answers that `each` found good."""
        return [_joined(spec, [answer[spec.name] for answer in answers]) for spec in self._specs]


def _kind(spec: TensorSpec) -> pa.DataType:
    kind = _ARROW[spec.dtype]
    for size in reversed(spec.shape):
        kind = pa.list_(kind, size)  # -1: of any size
    return kind


def _joined(spec: TensorSpec, tensors: Sequence[np.ndarray]) -> pa.Array:
    if not tensors:
        return pa.array([], type=_kind(spec))
    shapes = np.array([tensor.shape for tensor in tensors], dtype=np.int64)
    return _column(spec, shapes, np.concatenate([tensor.reshape(-1) for tensor in tensors]))


def _column(spec: TensorSpec, shapes: np.ndarray, values: np.ndarray) -> pa.Array:
    """`shapes`: of each row, (rows, dimensions). `values`: those of all rows, one after the other."""
    array = array_of(values.reshape(-1), _ARROW[spec.dtype])
    for level, size in reversed(list(enumerate(spec.shape))):
        if size != -1:
            array = pa.FixedSizeListArray.from_arrays(array, size)
            continue
        lengths = np.repeat(shapes[:, level], shapes[:, :level].prod(axis=1))
        offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
        array = pa.ListArray.from_arrays(pa.array(offsets, type=pa.int32()), array)  # raises when int32 is too small
    return array
