"""Decoding one model's inputs: one by one with the clearest error, many at once for speed."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from pipelines.inputs.column import OFF, Column
from pipelines.inputs.faults import from_msgspec, not_json
from pipelines.inputs.kinds import decoded, quickly_decoded
from pipelines.inputs.protocol import from_protocol
from pipelines.ports import InvalidInput, Tensors
from schemas.model_spec import ModelSpec, TensorSpec

# msgspec raises UnicodeDecodeError (a ValueError) and RecursionError of Python's own.
_NOT_DECODED = (msgspec.MsgspecError, RecursionError, *OFF)
_FEW = 4
"""Inputs that are decoded one by one when one of them is off."""


class InputCodec:
    """Of one model. Immutable once made; safe from any thread.

    `decode` and `decode_many` answer alike: tensors by name in the order of model.yaml, or InvalidInput, whatever the
    bytes are.
    """

    def __init__(self, spec: ModelSpec, lenient: bool = False) -> None:
        """`lenient`: fields that are no inputs are passed over instead of refused. The API is strict, so that a slip of the
        pen is found; a stream takes any producer's records."""
        self._specs = spec.inputs
        self._columns = [Column(f"f{n}", tensor) for n, tensor in enumerate(spec.inputs)]
        self._columnar = all(column.columnar for column in self._columns)
        self._type = _object(spec.inputs, decoded, lenient)
        self._decode = msgspec.json.Decoder(self._type).decode
        self._decode_quickly = msgspec.json.Decoder(_object(spec.inputs, quickly_decoded, lenient)).decode

    def decode(self, inputs: bytes) -> Tensors:
        """One item's tensors. Raises InvalidInput, whatever is in `inputs`."""
        return self._tensors(self._parse(inputs))

    def convert(self, given: Mapping[str, Any]) -> Tensors:
        """The same of values that are decoded already: by name, what JSON decodes to, and NaN and infinities too."""
        try:
            return self._tensors(msgspec.convert(given, self._type))
        except msgspec.ValidationError as fault:
            raise from_msgspec(str(fault), self._specs) from None

    def decode_many(self, raws: Sequence[bytes]) -> list[Tensors | InvalidInput]:
        """One outcome per input, in order. Quick while all are good; else one by one, to find the culprits."""
        decode = self._decode_quickly
        try:
            given = [decode(raw) for raw in raws]
            columns = [column.many([getattr(item, column.field) for item in given]) for column in self._columns]
        except _NOT_DECODED:
            return self._sorted_out(raws)
        if len(columns) == 1:
            name = self._columns[0].name
            return [{name: tensor} for tensor in columns[0]]
        names = [column.name for column in self._columns]
        return [dict(zip(names, tensors, strict=True)) for tensors in zip(*columns, strict=True)]

    def batch(self, raws: Sequence[bytes]) -> Tensors | None:
        """All of them as one tensor by name, with a batch dimension in front; None when any is off, or when shapes vary:
        `decode_many` then tells. What is answered holds the same values."""
        if not self._columnar:
            return None
        decode = self._decode_quickly
        try:
            given = [decode(raw) for raw in raws]
            return {
                column.name: column.batch([getattr(item, column.field) for item in given]) for column in self._columns
            }
        except _NOT_DECODED:
            return None

    def _tensors(self, given: Any) -> Tensors:
        return {column.name: column.one(getattr(given, column.field)) for column in self._columns}

    def _sorted_out(self, raws: Sequence[bytes]) -> list[Tensors | InvalidInput]:
        """One culprit in a hundred must not make the others slow: those that cannot be decoded are put aside, and what is
        off in its values (a number out of range) is found by halving."""
        if len(raws) <= _FEW:
            return [self._outcome(raw) for raw in raws]
        fine = [self._is_decoded(raw) for raw in raws]
        if not all(fine):
            outcomes = iter(self.decode_many([raw for raw, good in zip(raws, fine, strict=True) if good]))
            return [next(outcomes) if good else self._outcome(raw) for raw, good in zip(raws, fine, strict=True)]
        middle = len(raws) // 2
        return self.decode_many(raws[:middle]) + self.decode_many(raws[middle:])

    def _is_decoded(self, raw: bytes) -> bool:
        try:
            self._decode_quickly(raw)
        except _NOT_DECODED:
            return False
        return True

    def _outcome(self, raw: bytes) -> Tensors | InvalidInput:
        try:
            return self.decode(raw)
        except InvalidInput as invalid:
            return invalid

    def _parse(self, inputs: bytes) -> Any:
        try:
            if inputs.lstrip()[:1] == b"[":
                return msgspec.convert(from_protocol(inputs, self._specs), self._type)
            return self._decode(inputs)
        except msgspec.ValidationError as fault:
            raise from_msgspec(str(fault), self._specs) from None
        except msgspec.DecodeError as fault:
            raise not_json(inputs, str(fault)) from None
        except RecursionError:
            raise InvalidInput("inputs: nested too deep, expected no deeper than the model's shapes") from None
        except UnicodeError:
            raise InvalidInput("inputs: not UTF-8, expected JSON in UTF-8") from None


def _object(specs: Sequence[TensorSpec], kind: Callable[[TensorSpec], Any], lenient: bool) -> type[msgspec.Struct]:
    """An object by input name. Fields are renamed, since an input's name need not be a Python identifier."""
    return msgspec.defstruct(
        "Inputs",
        [(f"f{n}", kind(tensor)) for n, tensor in enumerate(specs)],
        rename={f"f{n}": tensor.name for n, tensor in enumerate(specs)},
        forbid_unknown_fields=not lenient,
        gc=False,
        frozen=True,
    )
