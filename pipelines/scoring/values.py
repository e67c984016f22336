"""Values of columns as Python has them, the way JSON decodes to them: for online's own code."""

from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.types as types

from pipelines.scoring.fitting import is_list


class NotText:
    """Stands for a value whose bytes are not UTF-8: readers of Parquet do not look."""


def python_values(array: pa.Array) -> list[Any]:
    """One per value: numbers, booleans, strings, None, lists of these, or NotText."""
    try:
        values = array.to_pylist()
    except UnicodeDecodeError:
        values = [_value(scalar) for scalar in array]
    return [_floats(value) for value in values] if _has_decimals(array.type) else values


def _value(scalar: pa.Scalar) -> Any:
    try:
        return scalar.as_py()
    except UnicodeDecodeError:
        return NotText()


def _has_decimals(kind: pa.DataType) -> bool:
    while is_list(kind) or types.is_dictionary(kind):
        kind = kind.value_type
    return bool(types.is_decimal(kind))


def _floats(value: Any) -> Any:
    if isinstance(value, list):
        return [_floats(each) for each in value]
    return float(value) if isinstance(value, Decimal) else value
