"""Decoding one model's inputs: one by one with the clearest error, many at once for speed."""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from pipelines.inputs.kinds import NUMPY, nested
from pipelines.inputs.protocol import from_protocol
from pipelines.ports import InvalidInput, Tensors
from schemas.model_spec import ModelSpec, TensorSpec

_FLOAT_MAX = {"float16": float(np.finfo(np.float16).max), "float32": float(np.finfo(np.float32).max)}


class InputCodec:
    """Of one model. Immutable once made; safe from any thread."""

    def __init__(self, spec: ModelSpec) -> None:
        self._specs = spec.inputs
        fields = [(f"f{n}", nested(t.dtype, len(t.shape))) for n, t in enumerate(spec.inputs)]
        # Fields are renamed, since an input's name need not be a Python identifier.
        shape = msgspec.defstruct(
            "Inputs",
            fields,
            rename={f"f{n}": t.name for n, t in enumerate(spec.inputs)},
            forbid_unknown_fields=True,
            gc=False,
            frozen=True,
        )
        self._names = ", ".join(t.name for t in spec.inputs)
        self._decode = msgspec.json.Decoder(shape).decode
        self._columns = [_Column(f"f{n}", tensor) for n, tensor in enumerate(spec.inputs)]

    def decode(self, inputs: bytes) -> Tensors:
        """One item's tensors. Raises InvalidInput, whatever is in `inputs`."""
        given = self._parse(inputs)
        return {column.name: column.one(getattr(given, column.field)) for column in self._columns}

    def decode_many(self, raws: Sequence[bytes]) -> list[Tensors | InvalidInput]:
        """One outcome per input, in order. Fast while all are good; else one by one, to find the culprits."""
        try:
            given = [self._decode(raw) for raw in raws]
            columns = [column.many([getattr(item, column.field) for item in given]) for column in self._columns]
        except (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError, OverflowError, TypeError):
            return [self._outcome(raw) for raw in raws]
        if len(columns) == 1:
            name = self._columns[0].name
            return [{name: tensor} for tensor in columns[0]]
        names = [column.name for column in self._columns]
        return [dict(zip(names, tensors, strict=True)) for tensors in zip(*columns, strict=True)]

    def _outcome(self, raw: bytes) -> Tensors | InvalidInput:
        try:
            return self.decode(raw)
        except InvalidInput as invalid:
            return invalid

    def _parse(self, inputs: bytes) -> Any:
        try:
            if inputs.lstrip()[:1] == b"[":
                return self._decode(from_protocol(inputs, self._specs))
            return self._decode(inputs)
        except msgspec.ValidationError as fault:
            raise InvalidInput(self._explain(str(fault))) from None
        except msgspec.DecodeError as fault:
            raise InvalidInput(f"inputs: not JSON: {fault}") from None
        except RecursionError:
            raise InvalidInput("inputs: nested too deep, expected no deeper than the model's shapes") from None
        except UnicodeError:
            raise InvalidInput("inputs: not UTF-8, expected JSON in UTF-8") from None

    def _explain(self, fault: str) -> str:
        """msgspec's `Expected `float`, got `str` - at `$.pixels[3]`` in our words."""
        what, _, place = fault.partition(" - at `$")
        where = "inputs" + place.rstrip("`")
        what = what.replace("`", "")
        if "unknown field" in what:
            name = what.rsplit(" ", 1)[-1]
            return f"inputs.{name}: unknown, the model takes: {self._names}"
        if "missing required field" in what:
            name = what.rsplit(" ", 1)[-1]
            return f"inputs.{name}: missing, the model takes: {self._names}"
        return f"{where}: {what[0].lower()}{what[1:]}"


class _Column:
    """One input: from the decoded value to the tensor."""

    def __init__(self, field: str, spec: TensorSpec) -> None:
        self.field = field
        self.name = spec.name
        self._spec = spec
        self._dtype = NUMPY[spec.dtype]
        self._floats = spec.dtype.startswith("float")
        self._max = _FLOAT_MAX.get(spec.dtype)
        self._fixed = -1 not in spec.shape
        self._strings = spec.dtype == "string"

    def many(self, values: list[Any]) -> Sequence[np.ndarray]:
        """Raises ValueError or the like when any of them is off; `one` then tells what."""
        if not self._fixed or self._strings:
            return [self.one(value) for value in values]
        column = np.array(values, dtype=np.float64 if self._max else self._dtype)
        if column.shape != (len(values), *self._spec.shape):
            raise ValueError
        if self._floats and not self._spec.nan and not np.isfinite(column).all():
            raise ValueError
        if self._max is not None:
            if column.size and (column.max() > self._max or column.min() < -self._max):
                raise ValueError
            column = column.astype(self._dtype)
        return list(column)

    def one(self, value: Any) -> np.ndarray:
        if self._strings:
            _check_text(self.name, value)
        shape = _shape(value)
        if shape is None:
            raise InvalidInput(f"inputs.{self.name}: rows of different lengths, expected shape {self._expected()}")
        if not self._fits(shape):
            raise InvalidInput(f"inputs.{self.name}: expected shape {self._expected()}, got {list(shape)}")
        wide = np.array(value, dtype=np.float64 if self._floats else self._dtype)
        if wide.shape != shape:  # an empty dimension hides those below it
            wide = wide.reshape(shape)
        if self._floats:
            self._check_range(wide)
        return wide.astype(self._dtype, copy=False)

    def _check_range(self, wide: np.ndarray) -> None:
        bad = np.zeros(wide.shape, dtype=bool) if self._spec.nan else ~np.isfinite(wide)
        if self._max is not None:
            bad |= np.abs(wide) > self._max
        if bad.any():
            place = np.unravel_index(int(np.argmax(bad)), bad.shape) if bad.shape else ()
            index = "".join(f"[{int(i)}]" for i in place)
            raise InvalidInput(
                f"inputs.{self.name}{index}: {float(wide[place]):g} is out of range, expected a finite {self._spec.dtype}"
            )

    def _fits(self, shape: tuple[int, ...]) -> bool:
        if len(shape) != len(self._spec.shape):
            return False
        return all(want == got or (want == -1 and got > 0) for want, got in zip(self._spec.shape, shape, strict=True))

    def _expected(self) -> str:
        return str(list(self._spec.shape)) + (" (-1: any length from 1)" if not self._fixed else "")


def _shape(value: Any) -> tuple[int, ...] | None:
    """The shape of nested lists; None when rows differ."""
    if not isinstance(value, list):
        return ()
    if not value:
        return (0,)
    below = _shape(value[0])
    if below is None or any(_shape(row) != below for row in value[1:] if isinstance(row, list)):
        return None
    return (len(value), *below)


def _check_text(name: str, value: Any) -> None:
    """U+0000 has no place in PostgreSQL's text, nor in most tokenizers."""
    if isinstance(value, list):
        for index, part in enumerate(value):
            _check_text(f"{name}[{index}]", part)
    elif "\0" in value:
        raise InvalidInput(f"inputs.{name}: holds U+0000, expected text without it")
