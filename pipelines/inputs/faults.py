"""What is wrong with an input, in one line: the field, the fault and what was expected. The slow and careful way."""

import math
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from pipelines.inputs.kinds import NUMPY, is_float
from pipelines.ports import InvalidInput
from schemas.model_spec import TensorSpec

_GOT = {"str": "string", "bool": "boolean", "int": "number", "float": "number", "array": "list", "bytes": "string"}
_MISMATCH = re.compile(r"Expected `(?P<expected>.+?)`, got `(?P<got>.+?)`")
_FIELD = re.compile(r"Object (?P<fault>contains unknown|missing required) field `(?P<name>.*)`", re.DOTALL)
_SHOWN_CHARS = 64
_HALF_PAIR = re.compile(rb"\\u[dD][89a-fA-F]")


def careful(spec: TensorSpec, value: Any) -> np.ndarray:
    """The tensor of a decoded value, element by element. Raises InvalidInput."""
    where = f"inputs.{spec.name}"
    shape = shape_of(value)
    if shape is None:
        raise InvalidInput(f"{where}: rows of different lengths, expected shape {expected(spec)}")
    if not _fits(spec, shape):
        raise InvalidInput(f"{where}: expected shape {expected(spec)}, got {list(shape)}")
    flat = [_element(spec, f"{where}{place}", element) for place, element in _elements(value)]
    tensor = np.empty(len(flat), dtype=NUMPY[spec.dtype])
    tensor[:] = flat
    return tensor.reshape(shape)


def expected(spec: TensorSpec) -> str:
    return str(list(spec.shape)) + (" (-1: any length from 1)" if -1 in spec.shape else "")


def shape_of(value: Any) -> tuple[int, ...] | None:
    """The shape of nested lists; None when rows differ."""
    if not isinstance(value, list):
        return ()
    below = {shape_of(row) for row in value}
    if len(below) > 1 or None in below:
        return None
    return (len(value), *(below.pop() or () if below else ()))


def from_msgspec(fault: str, specs: Sequence[TensorSpec]) -> InvalidInput:
    """msgspec's "Expected `float`, got `str` - at `$.pixels[3]`" in the words of model.yaml."""
    what, _, place = fault.partition(" - at `$")
    place = place.rstrip("`")
    where = "inputs" + place
    field = _FIELD.match(what)
    if field is not None:
        takes = "" if place else f", the model takes: {', '.join(spec.name for spec in specs)}"
        verdict = "missing" if field["fault"].startswith("missing") else "unknown"
        return InvalidInput(f"{where}.{shown(field['name'])}: {verdict}{takes}")
    mismatch = _MISMATCH.match(what)
    if mismatch is None:  # e.g. "Number out of range"
        return InvalidInput(
            f"{where}: {what[:1].lower()}{what[1:]}, expected {_wanted(place, 'less', specs)}".replace("`", "")
        )
    got = _GOT.get(mismatch["got"], mismatch["got"])
    return InvalidInput(f"{where}: expected {_wanted(place, mismatch['expected'], specs)}, got {got}")


def not_json(inputs: bytes, fault: str) -> InvalidInput:
    half = ", or half a surrogate pair" if _HALF_PAIR.search(inputs) else ""
    return InvalidInput(f"inputs: not JSON{half}: {fault}")


def shown(name: str) -> str:
    """A sender's name, fit for one line of a message: printable and bounded."""
    cut = name if len(name) <= _SHOWN_CHARS else name[:_SHOWN_CHARS] + "…"
    return cut if cut.isprintable() else ascii(cut)


def _wanted(place: str, said: str, specs: Sequence[TensorSpec]) -> str:
    """What belongs at `.pixels[3]`: an element, or a row of so many."""
    name, depth = place[1:].partition("[")[0], place.count("[")
    for spec in specs if place.startswith(".") else ():
        if spec.name == name:
            return spec.dtype if depth >= len(spec.shape) else f"shape {list(spec.shape[depth:])}"
    return {"object": "an object by input name", "str": "string", "array": "list"}.get(said, said)


def _fits(spec: TensorSpec, shape: tuple[int, ...]) -> bool:
    if len(shape) != len(spec.shape):
        return False
    return all(want == got or (want == -1 and got > 0) for want, got in zip(spec.shape, shape, strict=True))


def _elements(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    if not isinstance(value, list):
        yield place, value
        return
    for index, part in enumerate(value):
        yield from _elements(part, f"{place}[{index}]")


def _element(spec: TensorSpec, where: str, value: Any) -> Any:
    if spec.dtype == "string":
        return _text(where, value)
    if spec.dtype == "bool":
        return value
    return _float(spec, where, value) if is_float(spec.dtype) else _integer(spec, where, value)


def _text(where: str, value: str) -> str:
    """U+0000 has no place in PostgreSQL's text, nor in most tokenizers."""
    if "\0" in value:
        raise InvalidInput(f"{where}: holds U+0000, expected text without it")
    return value


def _float(spec: TensorSpec, where: str, value: float | None) -> float:
    if value is None:
        return float("nan")
    if not math.isfinite(value):  # JSON has none of them, a data set may
        return _not_finite(spec, where, value)
    with np.errstate(over="ignore"):
        if not np.isfinite(np.float64(value).astype(NUMPY[spec.dtype])):
            raise InvalidInput(f"{where}: {value:g} is out of range, expected {spec.dtype}")
    return value


def _not_finite(spec: TensorSpec, where: str, value: float) -> float:
    if not spec.nan:
        what = "NaN" if math.isnan(value) else "an infinity"
        raise InvalidInput(f"{where}: {what}, expected {spec.dtype} (model.yaml allows it with `nan: true`)")
    return value


def _integer(spec: TensorSpec, where: str, value: float) -> int:
    limits = np.iinfo(NUMPY[spec.dtype])
    if value != int(value):
        raise InvalidInput(f"{where}: expected {spec.dtype}, got {value:g}")
    if not limits.min <= int(value) <= limits.max:
        raise InvalidInput(f"{where}: out of range, expected {spec.dtype} from {limits.min} to {limits.max}")
    return int(value)
