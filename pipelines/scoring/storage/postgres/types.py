"""Arrow's types as PostgreSQL's. What has no counterpart of its own becomes jsonb."""

import pyarrow as pa
import pyarrow.types as types

JSON = "jsonb"
_PLAIN: dict[pa.DataType, str] = {
    pa.bool_(): "boolean", pa.int8(): "smallint", pa.uint8(): "smallint", pa.int16(): "smallint",
    pa.uint16(): "integer", pa.int32(): "integer", pa.uint32(): "bigint", pa.int64(): "bigint",
    pa.uint64(): "numeric(20)", pa.float16(): "real", pa.float32(): "real", pa.float64(): "double precision",
    pa.string(): "text", pa.large_string(): "text", pa.string_view(): "text", pa.null(): "text",
    pa.binary(): "bytea", pa.large_binary(): "bytea", pa.binary_view(): "bytea",
    pa.date32(): "date", pa.date64(): "date",
}  # fmt: skip


def column_type(kind: pa.DataType) -> str:
    """`real[]` of a list whose elements have a type; jsonb of structs, maps, and lists of any of these."""
    kind = stored(kind)
    if is_list(kind):
        element = column_type(kind.value_type)
        return JSON if element == JSON or element.endswith("[]") else f"{element}[]"
    return _PLAIN.get(kind) or _timed(kind) or JSON


def stored(kind: pa.DataType) -> pa.DataType:
    """What a dictionary, a run-end encoding or an extension holds."""
    while True:
        if types.is_dictionary(kind) or types.is_run_end_encoded(kind):
            kind = kind.value_type
        elif isinstance(kind, pa.BaseExtensionType):
            kind = kind.storage_type
        else:
            return kind


def is_list(kind: pa.DataType) -> bool:
    return bool(
        types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
        or types.is_list_view(kind) or types.is_large_list_view(kind)
    )  # fmt: skip


def is_binary(kind: pa.DataType) -> bool:
    return column_type(kind) == "bytea"


def is_textual(kind: str) -> bool:
    """Whether values of this column may hold any character: U+0000 among them."""
    return kind in ("text", "text[]", JSON)


def _timed(kind: pa.DataType) -> str | None:
    if types.is_fixed_size_binary(kind):
        return "bytea"
    if types.is_decimal(kind):
        return f"numeric({kind.precision},{kind.scale})" if 0 <= kind.scale <= kind.precision else "numeric"
    if types.is_timestamp(kind):
        return "timestamp" if kind.tz is None else "timestamptz"
    if types.is_time(kind):
        return "time"
    return "interval" if types.is_duration(kind) else None
