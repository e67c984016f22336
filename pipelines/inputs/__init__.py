"""Inputs: bytes in, named tensors out, or an error that names the field, its fault and what was expected."""

from pipelines.inputs.codec import InputCodec
from pipelines.inputs.port import Inputs
from pipelines.inputs.raw import RawInputs

__all__ = ["InputCodec", "Inputs", "RawInputs"]
