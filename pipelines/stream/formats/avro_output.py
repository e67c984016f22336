"""Answers as Avro, with a schema made of model.yaml's outputs."""

from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from typing import Any

import fastavro
import msgspec

from pipelines.stream.formats.framed import FRAME, MAGIC
from schemas.model_spec import DType, ModelSpec, TensorSpec

_TYPES: dict[DType, str] = {
    "float16": "float", "float32": "float", "float64": "double",
    "int8": "int", "int16": "int", "int32": "int", "int64": "long",
    "uint8": "int", "uint16": "int", "uint32": "long",
    "bool": "boolean", "string": "string",
}  # fmt: skip


def schema_of(spec: ModelSpec) -> dict[str, Any]:
    """Raises ValueError, one line, for an output that Avro has no name or no type for."""
    name = "".join(c if c.isalnum() and c.isascii() else "_" for c in spec.name)
    fields = [{"name": _name(tensor), "type": _type(tensor)} for tensor in spec.outputs]
    return {"type": "record", "namespace": "forebay", "name": f"Prediction_{name}", "fields": fields}


class AvroOutput:
    """An `Output`."""

    content_type = "application/avro"

    def __init__(self, schema: Mapping[str, Any], register: Callable[[Mapping[str, Any]], int]) -> None:
        """`register` gives the schema's id; it is called once, now, and raises what it raises."""
        self._frame = bytes([MAGIC]) + register(schema).to_bytes(FRAME - 1, "big")
        self._schema = fastavro.parse_schema(dict(schema))
        self._decode = msgspec.json.Decoder().decode

    def __call__(self, answers: Sequence[bytes]) -> list[bytes]:
        return [self._one(answer) for answer in answers]

    def _one(self, answer: bytes) -> bytes:
        out = BytesIO()
        out.write(self._frame)
        fastavro.schemaless_writer(out, self._schema, self._decode(answer))
        return out.getvalue()


def _name(tensor: TensorSpec) -> str:
    if not tensor.name.isidentifier():
        raise ValueError(f"outputs.{tensor.name}: Avro takes names of letters, digits and _ only; write JSON instead")
    return tensor.name


def _type(tensor: TensorSpec) -> Any:
    if tensor.dtype not in _TYPES:
        raise ValueError(f"outputs.{tensor.name}: Avro has no {tensor.dtype}; write JSON instead")
    kind: Any = _TYPES[tensor.dtype]
    if tensor.nan:
        kind = ["null", kind]  # what is not finite is null in answers
    for _ in tensor.shape:
        kind = {"type": "array", "items": kind}
    return kind
