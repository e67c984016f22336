"""What commands print: JSON, one object a line, or a table that is plain text when it is piped."""

import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

WIDE = 10_000
"""A piped table is not wrapped."""


def json_line(record: Any) -> None:
    sys.stdout.write(msgspec.json.encode(record).decode() + "\n")


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    terminal = sys.stdout.isatty()
    made = Table(*columns, box=None, pad_edge=False, header_style="bold" if terminal else "")
    for column in made.columns:
        column.no_wrap = not terminal
    for row in rows:
        made.add_row(*(str(cell) for cell in row))
    Console(width=None if terminal else WIDE, highlight=False).print(made)


def iso(at: float | None) -> str | None:
    """Epoch seconds as ISO 8601 in UTC."""
    return (
        None
        if at is None
        else datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )


def as_json(raw: bytes | None) -> Any:
    """Stored JSON, to be printed as it is; as text when it is none."""
    if raw is None:
        return None
    try:
        msgspec.json.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return raw.decode("utf-8", "replace")
    return msgspec.Raw(raw)
