"""What is nested, as JSON. What JSON has no value for is a string: NaN, times, decimals, and bytes as `\\x…`."""

import json
import math
from typing import Any

INSTEAD_OF_NUL = "\u2400"
"""The picture of U+0000, which neither jsonb nor text can hold."""


class HoldsNul(ValueError):
    """A text with U+0000, in the row that it is given."""


def json_text(value: object, replace_nul: bool = False) -> str:
    """Raises HoldsNul, unless it is to be replaced."""
    return json.dumps(_plain(value, replace_nul), ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _plain(value: Any, replace_nul: bool) -> Any:
    match value:
        case None | bool() | int():
            return value
        case float():
            return value if math.isfinite(value) else _named(value)
        case str():
            return _text(value, replace_nul)
        case bytes():
            return f"\\x{value.hex()}"
        case dict():
            return {_text(str(key), replace_nul): _plain(each, replace_nul) for key, each in value.items()}
        case list() if value and all(isinstance(each, tuple) for each in value):  # a map, as Arrow gives it
            return {_text(str(key), replace_nul): _plain(each, replace_nul) for key, each in value}
        case list() | tuple():
            return [_plain(each, replace_nul) for each in value]
        case _:
            return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _named(value: float) -> str:
    """As PostgreSQL's own floats are written."""
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _text(value: str, replace_nul: bool) -> str:
    if "\0" in value:
        if not replace_nul:
            raise HoldsNul
        value = value.replace("\0", INSTEAD_OF_NUL)
    return value
