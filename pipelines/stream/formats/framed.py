"""Payloads as a schema registry's clients write them: a zero byte, the schema's id, then Avro or JSON."""

from collections.abc import Sequence

from pipelines.flow.in_place import Refused
from pipelines.kafka.errors import one_line
from pipelines.stream.formats.payloads import as_is, refused
from pipelines.stream.formats.schemas import Schemas, Unreadable

MAGIC = 0
FRAME = 5
"""Bytes: the magic one, and the id, big-endian."""


class Framed:
    """A `Payload`."""

    def __init__(self, schemas: Schemas, always: bool) -> None:
        """`always`: a payload without the frame is refused; else it is JSON as it is, which cannot start with a zero."""
        self._schemas = schemas
        self._always = always

    def __call__(self, values: Sequence[bytes | None]) -> list[bytes | Refused]:
        return [value if isinstance(value, Refused) else self._read(value) for value in as_is(values)]

    def _read(self, value: bytes) -> bytes | Refused:
        if value[:1] != b"\0":
            if not self._always:
                return value
            got = f"first byte {value[0]}" if value else "no bytes"
            return refused(f"value: {got}, expected 0 and a schema id, as a schema registry's clients write")
        if len(value) < FRAME:
            return refused(f"value: {len(value)} bytes, expected a zero, four of a schema id, and a payload")
        id = int.from_bytes(value[1:FRAME], "big")
        try:
            read = self._schemas.reader(id)
        except Unreadable as unreadable:
            return refused(f"value: {unreadable}")
        try:
            return read(value[FRAME:])
        except Exception as fault:  # noqa: BLE001  # whatever a decoder raises, it is this payload that does not fit
            return refused(f"value: does not fit schema {id}: {one_line(fault) or type(fault).__name__}")
