"""Columns as PostgreSQL's text format has them: by Arrow's own loops, but for what becomes jsonb."""

import binascii

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as types

from pipelines.scoring.storage.postgres.json_values import HoldsNul, json_text
from pipelines.scoring.storage.postgres.types import JSON, column_type, is_binary, is_list, is_textual

_TEXT = pa.large_string()


def rendered(values: pa.Array) -> pa.Array:
    """Text of each value, as PostgreSQL reads it; null where it is null. Times finer than a microsecond are cut off there.
    Raises HoldsNul with the place of a text that no column can hold."""
    values = _decoded(values)
    kind = column_type(values.type)
    if kind == JSON:
        return pa.array(_jsons(values), _TEXT)
    texts = _arrays(values) if is_list(values.type) else _scalars(values)
    if is_textual(kind):
        place = pc.index(pc.match_substring(texts, "\0"), True).as_py()
        if place >= 0:
            raise HoldsNul(place)
    return texts


def lines(columns: list[pa.Array]) -> memoryview:
    """Of COPY's text format. `columns`: texts of the same length, one at least."""
    escaped = [_escaped(column) for column in columns]
    joined = pc.binary_join_element_wise(
        *escaped, pa.scalar("\t", _TEXT), null_handling="replace", null_replacement="\\N"
    )
    ended = pc.binary_join_element_wise(joined, pa.scalar("", _TEXT), pa.scalar("\n", _TEXT))
    _, offsets, data = ended.buffers()
    return (
        memoryview(data)[: int(np.frombuffer(offsets, np.int64)[len(ended)])] if data is not None else memoryview(b"")
    )


def _decoded(values: pa.Array) -> pa.Array:
    while True:
        if types.is_dictionary(values.type):
            values = values.dictionary_decode()
        elif types.is_run_end_encoded(values.type):
            values = pc.run_end_decode(values)
        elif isinstance(values.type, pa.BaseExtensionType):
            values = values.storage
        else:
            return values


def _jsons(values: pa.Array) -> list[str | None]:
    found: list[str | None] = []
    for place, each in enumerate(values.to_pylist()):
        try:
            found.append(None if each is None else json_text(each))
        except HoldsNul:
            raise HoldsNul(place) from None
    return found


def _scalars(values: pa.Array) -> pa.Array:
    kind = values.type
    if is_binary(kind):
        return _hexed(values)
    if types.is_timestamp(kind):
        return _timestamps(values)
    if types.is_time64(kind):
        return values.cast(pa.time64("us"), safe=False).cast(_TEXT)
    if types.is_duration(kind):
        micros = values.cast(pa.duration("us"), safe=False).cast(pa.int64())
        return _with(micros.cast(_TEXT), after=" microseconds")
    if types.is_float16(kind):
        values = values.cast(pa.float32())
    if types.is_date64(kind):
        values = values.cast(pa.date32())
    return values.cast(_TEXT)


def _timestamps(values: pa.Array) -> pa.Array:
    zone = values.type.tz
    if zone is None:
        return values.cast(pa.timestamp("us"), safe=False).cast(_TEXT)
    utc = values.cast(pa.timestamp("us", "UTC"), safe=False).cast(pa.timestamp("us"))
    return _with(utc.cast(_TEXT), after="+00")


def _hexed(values: pa.Array) -> pa.Array:
    plain = pc.fill_null(values.cast(pa.binary()) if types.is_fixed_size_binary(values.type) else values, b"")
    plain = plain.cast(pa.large_binary())
    _, offsets, data = plain.buffers()
    cuts = np.frombuffer(offsets, np.int64)[plain.offset : plain.offset + len(plain) + 1]
    content = b"" if data is None else binascii.hexlify(memoryview(data)[int(cuts[0]) : int(cuts[-1])])
    hexed = pa.LargeStringArray.from_buffers(
        len(plain), pa.py_buffer(np.ascontiguousarray((cuts - cuts[0]) * 2)), pa.py_buffer(content)
    )
    return _only(_with(hexed, before="\\x"), values)


def _arrays(values: pa.Array) -> pa.Array:
    flat = _decoded(values.flatten())
    texts = _scalars(flat)
    if not _is_number(flat.type):
        texts = _with(_replaced(texts, ("\\", "\\\\"), ('"', '\\"')), before='"', after='"')
    texts = pc.fill_null(texts, "NULL")
    counts = pc.fill_null(pc.list_value_length(values), 0).cast(pa.int64()).to_numpy(zero_copy_only=False)
    cuts = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
    joined = pc.binary_join(pa.LargeListArray.from_arrays(pa.array(cuts), texts), pa.scalar(",", _TEXT))
    return _only(_with(joined, before="{", after="}"), values)


def _is_number(kind: pa.DataType) -> bool:
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind) or types.is_decimal(kind))


def _escaped(texts: pa.Array) -> pa.Array:
    return _replaced(texts, ("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r"))


def _replaced(texts: pa.Array, *pairs: tuple[str, str]) -> pa.Array:
    for pattern, replacement in pairs:
        texts = pc.replace_substring(texts, pattern, replacement)
    return texts


def _with(texts: pa.Array, before: str = "", after: str = "") -> pa.Array:
    """Nulls stay null."""
    return pc.binary_join_element_wise(pa.scalar(before, _TEXT), texts, pa.scalar(after, _TEXT), pa.scalar("", _TEXT))


def _only(texts: pa.Array, values: pa.Array) -> pa.Array:
    """Where these values are not null."""
    return texts if values.null_count == 0 else pc.if_else(values.is_valid(), texts, pa.scalar(None, _TEXT))
