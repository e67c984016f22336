"""Inputs: JSON in, named tensors out, or an error that names the field, its fault and what was expected."""

from pipelines.inputs.codec import InputCodec

__all__ = ["InputCodec"]
