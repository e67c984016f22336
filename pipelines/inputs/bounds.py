"""How large the JSON of a model's input can sensibly be: what is larger is refused before it is fetched and decoded, which
takes ten times its size in memory."""

from math import prod

from schemas.model_spec import Limits, ModelSpec, TensorSpec

PER_VALUE = 64
"""Bytes of a number or a bracket: with all digits of a float64 and indented, on a line of its own."""
PER_TENSOR = 4096
"""Bytes of all else: names, shape and datatype, parameters."""
LEAST = 64 << 10
"""Costs nothing to decode, whatever it is."""
VARYING = 64 << 20
"""Of a model whose shapes say nothing: lengths that vary, strings."""


def most_upload_bytes(spec: ModelSpec) -> int:
    """Of an upload for this model: `limits.max_upload_bytes`, else what its shapes can need."""
    if spec.limits.max_upload_bytes is not None:
        return spec.limits.max_upload_bytes
    if any(-1 in tensor.shape or tensor.dtype == "string" for tensor in spec.inputs):
        return VARYING
    return max(LEAST, sum(map(_bytes, spec.inputs)))


def bounded(spec: ModelSpec) -> Limits:
    """Its limits, with that in place."""
    return spec.limits.model_copy(update={"max_upload_bytes": most_upload_bytes(spec)})


def _bytes(tensor: TensorSpec) -> int:
    values_and_lists = sum(prod(tensor.shape[:rank]) for rank in range(len(tensor.shape) + 1))
    return PER_TENSOR + PER_VALUE * values_and_lists
