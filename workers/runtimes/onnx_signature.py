"""What an ONNX file takes and gives, held against model.yaml."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from schemas.model_spec import TensorSpec
from workers.errors import BadArtifact

_TYPES = {
    "float16": "float16", "float": "float32", "double": "float64",
    "int8": "int8", "int16": "int16", "int32": "int32", "int64": "int64",
    "uint8": "uint8", "uint16": "uint16", "uint32": "uint32", "uint64": "uint64",
    "bool": "bool", "string": "string",
}  # fmt: skip


def check_inputs(path: Path, has: Sequence[Any], declared: Sequence[TensorSpec], largest_batch: int) -> None:
    """The file must take exactly what is declared. Raises BadArtifact, naming both."""
    if {tensor.name for tensor in declared} != {node.name for node in has}:
        raise BadArtifact(f"{path}: takes inputs {_names(has)}, model.yaml declares {_names(declared)}")
    _check(path, "input", has, declared, largest_batch)


def check_outputs(path: Path, has: Sequence[Any], declared: Sequence[TensorSpec], largest_batch: int) -> None:
    """The file must give what is declared; more is left out. Raises BadArtifact, naming both."""
    if not {tensor.name for tensor in declared} <= {node.name for node in has}:
        raise BadArtifact(f"{path}: gives outputs {_names(has)}, model.yaml declares {_names(declared)}")
    _check(path, "output", has, declared, largest_batch)


def _names(tensors: Sequence[Any]) -> str:
    return ", ".join(tensor.name for tensor in tensors)


def _check(path: Path, what: str, has: Sequence[Any], declared: Sequence[TensorSpec], largest_batch: int) -> None:
    by_name = {node.name: node for node in has}
    for spec in declared:
        node = by_name[spec.name]
        dtype = _TYPES.get(node.type.removeprefix("tensor(").removesuffix(")"), node.type)
        if dtype != spec.dtype:
            raise BadArtifact(f"{path}: {what} {spec.name!r} is {dtype}, model.yaml declares {spec.dtype}")
        if what == "input" or node.shape:  # an output of unknown shape is checked at the warm-up
            _check_shape(f"{path}: {what} {spec.name!r}", node.shape, spec, largest_batch)


def _check_shape(where: str, shape: Sequence[Any], spec: TensorSpec, largest_batch: int) -> None:
    """`shape` has the batch dimension in front; what is not a number in it varies."""
    shown = f"[{', '.join(str(size) for size in shape)}]"
    # A declared -1 is served only by a dimension that varies; a fixed one may run on either.
    fits = len(shape) == len(spec.shape) + 1 and all(
        not isinstance(size, int) or size == want for size, want in zip(shape[1:], spec.shape, strict=True)
    )
    if not fits:
        raise BadArtifact(
            f"{where} has shape {shown}, model.yaml declares {list(spec.shape)} after the batch dimension"
        )
    if isinstance(shape[0], int) and (shape[0], largest_batch) != (1, 1):
        raise BadArtifact(
            f"{where} has shape {shown}: its batch dimension is fixed; export it with one that varies"
            + (", or set batching.max_batch_size to 1" if shape[0] == 1 else "")
        )
