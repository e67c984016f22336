"""Columns of a data set by model input: names, lists of names, and patterns with one range."""

import re
from collections.abc import Sequence

_RANGE = re.compile(r"([^{}]*)\{([0-9]{1,9})\.\.([0-9]{1,9})\}([^{}]*)")
MOST = 65_536
"""Columns of one input."""
FORMS = "a column, a list of columns, or a pattern such as f{0..15}"


def input_columns(shape: Sequence[int], given: Sequence[str]) -> list[str]:
    """The columns of one input of this shape, patterns written out. Raises ValueError, one line."""
    columns = [name for pattern in given for name in _expanded(pattern)]
    if not columns:
        raise ValueError(f"expected {FORMS}, got none")
    if len(columns) > MOST:
        raise ValueError(f"{len(columns)} columns, expected {MOST} at most; keep them in one column of lists")
    for name in columns:
        _check_name(name)
    twice = _first_twice(columns)
    if twice is not None:
        raise ValueError(f"the column {twice!r} is named twice")
    _check_count(shape, columns)
    return columns


def _expanded(pattern: str) -> list[str]:
    if "{" not in pattern and "}" not in pattern:
        return [pattern]
    found = _RANGE.fullmatch(pattern)
    if found is None:
        raise ValueError(f"{pattern!r}: expected a name, or a name with one range such as f{{0..15}}")
    before, first, last, after = found.groups()
    if int(first) > int(last):
        raise ValueError(f"{pattern!r}: the range falls, expected the smaller number first")
    if int(last) - int(first) >= MOST:
        raise ValueError(f"{pattern!r}: {int(last) - int(first) + 1} columns, expected {MOST} at most")
    # f{00..15}: as many digits in each.
    width = len(first) if first.startswith("0") else 0
    return [f"{before}{number:0{width}d}{after}" for number in range(int(first), int(last) + 1)]


def _check_name(name: str) -> None:
    if not name or "" in name.split("."):
        raise ValueError(f"{name!r}: expected a column's name, with dots between the fields of nested ones")


def _first_twice(names: Sequence[str]) -> str | None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None


def _check_count(shape: Sequence[int], columns: Sequence[str]) -> None:
    if len(columns) == 1:
        return  # of lists, or a value for a dimension of one: the data set's types tell
    if len(shape) != 1:
        raise ValueError(f"{len(columns)} columns for shape {list(shape)}, expected one column")
    if shape[0] not in (-1, len(columns)):
        raise ValueError(f"{len(columns)} columns for shape {list(shape)}, expected {shape[0]}, or one column of lists")
