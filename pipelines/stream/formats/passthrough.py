"""Fields of a record that go to its answer as they are: an id, a time of the producer's."""

from collections.abc import Sequence

import msgspec
from msgspec import UNSET, Raw, UnsetType

from pipelines.flow.in_place import Refused
from pipelines.stream.formats.payloads import refused
from schemas.model_spec import ModelSpec, check_passthrough


class Passthrough:
    """The raw JSON of each field is spliced into the answer: nothing of it is decoded, nothing changes on the way."""

    def __init__(self, names: Sequence[str], spec: ModelSpec) -> None:
        """Raises ValueError, one line, when a name is an output's too, or cannot be one."""
        check_passthrough(names, spec.outputs)
        fields = [f"f{n}" for n in range(len(names))]
        self._keys = [
            (field, b"," + msgspec.json.encode(name) + b":") for field, name in zip(fields, names, strict=True)
        ]
        carried = msgspec.defstruct(
            "Carried",
            [(field, Raw | UnsetType, UNSET) for field in fields],
            rename=dict(zip(fields, names, strict=True)),
            gc=False,
        )
        self._decode = msgspec.json.Decoder(carried).decode

    def checked(self, raws: Sequence[bytes | Refused]) -> list[bytes | Refused]:
        """Fields that are passed over are not looked into, not even for UTF-8: what goes to the output has to be."""
        return [_checked(raw) if type(raw) is bytes and not raw.isascii() else raw for raw in raws]

    def splice(self, sources: Sequence[bytes | Refused], answers: Sequence[bytes]) -> list[bytes]:
        """A field that a record has not is left out. `answers` are objects with at least one member."""
        return [self._one(source, answer) for source, answer in zip(sources, answers, strict=True)]

    def _one(self, source: bytes | Refused, answer: bytes) -> bytes:
        try:
            given = self._decode(source)  # type: ignore[arg-type]  # TypeError below
        except (msgspec.MsgspecError, RecursionError, UnicodeError, TypeError):
            return answer  # the other form of inputs, a list: it has no fields
        parts = [answer[:-1]]
        for field, key in self._keys:
            value = getattr(given, field)
            if value is not UNSET:
                parts += (key, value)
        if len(parts) == 1:
            return answer
        parts.append(b"}")
        return b"".join(parts)


def _checked(raw: bytes) -> bytes | Refused:
    try:
        raw.decode()
    except UnicodeDecodeError as fault:
        return refused(f"value: not UTF-8 at byte {fault.start}, expected JSON in UTF-8")
    return raw
