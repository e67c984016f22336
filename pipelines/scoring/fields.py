"""Columns by name: at the top, or nested in structs, with dots in between."""

import difflib
from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as types

from pipelines.scoring.kinds import plain

Path = tuple[str, ...]
"""Names from the top down."""


class Ambiguous(LookupError):
    """Several columns have this name."""


def find(fields: pa.Schema | pa.StructType, name: str) -> tuple[Path, pa.DataType] | None:
    """Where a column is and its type; None when there is none. A column with dots in its own name goes before a nested
    one. Raises Ambiguous."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        head, rest = ".".join(parts[:count]), ".".join(parts[count:])
        kind = _type(fields, head)
        if kind is None:
            continue
        if not rest:
            return (head,), kind
        below = find(kind, rest) if types.is_struct(kind) else None
        if below is not None:
            return (head, *below[0]), below[1]
    return None


def column(batch: pa.RecordBatch, path: Path) -> pa.Array:
    """Values of one column; a null struct's are null. Without views: Arrow cannot take rows of them."""
    found = batch.column(path[0])
    if len(path) > 1:
        found = pc.struct_field(found, list(path[1:]))
    kind = plain(found.type)
    return found if kind == found.type else found.cast(kind)


def nearest(fields: pa.Schema, name: str) -> str:
    """For the message about a column that is not there."""
    close = difflib.get_close_matches(name, list(_names(fields)), n=3, cutoff=0.5)
    return f"nearest: {', '.join(close)}" if close else f"there are: {_few(list(fields.names))}"


def _type(fields: pa.Schema | pa.StructType, name: str) -> pa.DataType | None:
    places = fields.get_all_field_indices(name)
    if len(places) > 1:
        raise Ambiguous(name)
    return fields.field(places[0]).type if places else None


def _names(fields: pa.Schema | pa.StructType, before: str = "") -> Iterator[str]:
    for field in fields:
        yield before + field.name
        if types.is_struct(field.type):
            yield from _names(field.type, f"{before}{field.name}.")


def _few(names: Sequence[str]) -> str:
    if not names:
        return "no columns"
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return ", ".join(names[:8]) + more
