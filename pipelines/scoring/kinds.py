"""Types of columns: without what Arrow has no kernels for, and the one type of a column that files have differently."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.types as types

_BESIDE_SIGNED = pa.decimal128(20, 0)
"""Holds every integer of 64 bits, signed or not."""


_LISTS = (
    types.is_list, types.is_list_view, types.is_large_list, types.is_large_list_view, types.is_fixed_size_list,
)  # fmt: skip


class Apart(TypeError):
    """Two types that no common one holds."""


def plain(kind: pa.DataType) -> pa.DataType:
    """The same values without views of strings: Arrow cannot take rows of them. Views of lists stay where they may."""
    return _mapped(kind, dictionaries=True)


def common(kinds: Sequence[pa.DataType]) -> pa.DataType:
    """One that holds the values of all; dictionaries are kept where all have the same. Raises Apart."""
    distinct = list(dict.fromkeys(kinds))
    if len(distinct) == 1:
        return distinct[0]
    decoded = list(dict.fromkeys(_mapped(kind, dictionaries=False) for kind in distinct))
    if pa.uint64() in decoded and any(types.is_signed_integer(kind) for kind in decoded):
        decoded = [_BESIDE_SIGNED if types.is_integer(kind) else kind for kind in decoded]
    try:
        schemas = [pa.schema([("", kind)]) for kind in decoded]
        found: pa.DataType = pa.unify_schemas(schemas, promote_options="permissive").field(0).type
    except (pa.ArrowException, TypeError):
        raise Apart(" and ".join(str(kind) for kind in distinct[:2])) from None
    return found


def _mapped(kind: pa.DataType, dictionaries: bool) -> pa.DataType:
    """`dictionaries`: whether they stay."""
    if types.is_dictionary(kind):
        return kind if dictionaries else _mapped(kind.value_type, dictionaries)
    if types.is_string_view(kind):
        return pa.string()
    if types.is_binary_view(kind):
        return pa.binary()
    if types.is_struct(kind):
        return pa.struct([field.with_type(_mapped(field.type, dictionaries)) for field in kind])
    if types.is_map(kind):
        return pa.map_(_mapped(kind.key_type, dictionaries), _mapped(kind.item_type, dictionaries), kind.keys_sorted)
    return _list(kind, dictionaries)


def _list(kind: pa.DataType, dictionaries: bool) -> pa.DataType:
    if not any(test(kind) for test in _LISTS) or _mapped(kind.value_type, dictionaries) == kind.value_type:
        return kind
    field = kind.value_field.with_type(_mapped(kind.value_type, dictionaries))
    if types.is_fixed_size_list(kind):
        return pa.list_(field, kind.list_size)
    return pa.list_(field) if types.is_list(kind) or types.is_list_view(kind) else pa.large_list(field)
