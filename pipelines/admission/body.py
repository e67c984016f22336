"""Bytes as JSON of the shape that is expected, or why not."""

import difflib
import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec

from pipelines.admission.refused import Kind, Refused, misfit
from schemas.submissions import Submit

T = TypeVar("T")

MAX_DEPTH = 64
MAX_METADATA_BYTES = 16 << 10

_decode_any = msgspec.json.Decoder().decode
_AT = re.compile(r" - at `\$(?:\[\.\.\.\])?\.?(.*)`$")
_FIELD = re.compile(r"field `(.*)`")
_UNKNOWN = "contains unknown field"
_LONGEST_NAME = 64


def parse(decode: Callable[[bytes], T], raw: bytes) -> T:
    """Decode JSON. Raises Refused: NOT_JSON (nor UTF-8, too deep), BODY (JSON of another shape) that names the field."""
    try:
        return decode(raw)
    except msgspec.ValidationError as fault:
        raise _misfit(str(fault), _fields_of(decode)) from None
    except RecursionError:  # msgspec lets Python's own errors through
        raise _not_json(f"expected JSON nested at most {MAX_DEPTH} deep") from None
    except UnicodeError as fault:
        raise _not_json(f"expected UTF-8: {fault.__class__.__name__}") from None
    except msgspec.MsgspecError as fault:
        raise _not_json(str(fault)) from None


def check_one_input(wanted: Submit) -> None:
    """Raises Refused unless there is either an input or the id of an upload."""
    given = bool(bytes(wanted.inputs))
    if given and wanted.inputs_ref is not None:
        raise misfit("expected either inputs or inputs_ref, got both", "inputs_ref")
    if not given and wanted.inputs_ref is None:
        raise misfit("Object missing required field `inputs`", "inputs")


def check_text(raw: bytes) -> None:
    """Raises Refused unless `raw`, which is JSON, is UTF-8 without lone surrogates and without a U+0000 in any string.

    What a Raw field holds was only skipped over so far. Escapes are rare in inputs, so that this mostly costs two scans.
    """
    if not raw.isascii():
        try:
            raw.decode()
        except UnicodeDecodeError as fault:
            raise _not_json(f"expected UTF-8: byte {fault.start} is not") from None
    if b"\\u" in raw and has_nul(parse(_decode_any, raw)):
        raise misfit("expected text without U+0000")


def has_nul(value: Any) -> bool:
    pending = [value]
    while pending:
        match pending.pop():
            case str() as text if "\0" in text:
                return True
            case dict() as named:
                pending.extend(named)
                pending.extend(named.values())
            case list() as items:
                pending.extend(items)
    return False


def check_metadata(raw: bytes) -> bytes:
    if len(raw) > MAX_METADATA_BYTES:
        raise misfit(f"expected metadata of at most {MAX_METADATA_BYTES} bytes of JSON", "metadata")
    try:
        value = parse(_decode_any, raw)
    except Refused as refused:
        raise misfit(refused.detail, "metadata") from None
    if not isinstance(value, dict):
        raise misfit("expected metadata to be a JSON object", "metadata")
    if deeper_than(value, MAX_DEPTH):
        raise misfit(f"expected metadata nested at most {MAX_DEPTH} deep", "metadata")
    return raw


def deeper_than(value: Any, most: int) -> bool:
    level = [value]
    for _ in range(most):
        level = [child for outer in level for child in _children(outer)]
        if not level:
            return False
    return any(isinstance(value, dict | list) for value in level)


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _misfit(message: str, fields: Sequence[str]) -> Refused:
    at = _AT.search(message)
    name = at.group(1) if at else ""
    meant = ""
    if named := _FIELD.search(message):
        meant = "" if name or _UNKNOWN not in message else _meant(named.group(1), fields)
        name = f"{name}.{named.group(1)}" if name else named.group(1)
    # Their length is the client's: an answer must not be.
    return misfit(message[:300].encode("utf-8", "replace").decode() + meant, name[:100] or None)


def _meant(name: str, fields: Sequence[str]) -> str:
    close = difflib.get_close_matches(name[:_LONGEST_NAME], fields, 1)
    return f"; did you mean `{close[0]}`?" if close else ""


def _fields_of(decode: Callable[[bytes], Any]) -> Sequence[str]:
    """Of the object that a msgspec decoder expects; none, where it expects something else."""
    expected = getattr(getattr(decode, "__self__", None), "type", None)
    if not (isinstance(expected, type) and issubclass(expected, msgspec.Struct)):
        return ()
    return expected.__struct_encode_fields__


def _not_json(detail: str) -> Refused:
    return Refused(Kind.NOT_JSON, detail[:300])
