"""What commands print: JSON, one object a line; or a table, plain text when it is piped; progress on a terminal."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from rich.console import Console

GAP = "  "


def json_line(record: Any) -> None:
    sys.stdout.write(msgspec.json.encode(record).decode() + "\n")


def say(line: str) -> None:
    """One line beside the output: a summary, or what went wrong with one of many."""
    sys.stdout.flush()
    print(f"forebay: {line}", file=sys.stderr, flush=True)


def summary(line: str, json: bool) -> None:
    """The last line; beside the records with `--json`."""
    say(line) if json else print(line)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Nothing is cut or wrapped when it is piped, and an id is whole on a terminal too."""
    cells = [[_cell(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        _terminal_table(columns, cells)
        return
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    for row in (columns, *cells):
        print(GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _terminal_table(columns: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table

    made = Table(box=None, pad_edge=False, header_style="bold")
    for place, name in enumerate(columns):
        # Only the last column, the longest text, is folded; Rich would else fold ids first.
        made.add_column(name, no_wrap=place < len(columns) - 1, overflow="fold")
    for row in cells:
        made.add_row(*row)
    Console(highlight=False, markup=False).print(made)


def line_of(value: object) -> str:
    """One line, and no control character of somebody's error or result reaches the terminal."""
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    line = " ".join(text.split())
    return line if line.isprintable() else "".join(char if char.isprintable() else "�" for char in line)


def _cell(value: object) -> str:
    return "" if value is None else line_of(value)


@contextmanager
def progress(what: str, total: int | None, console: "Console | None" = None) -> Iterator[Callable[[int], None]]:
    """A bar on stderr, when that is a terminal; call it with how many more are done."""
    if console is None and not sys.stderr.isatty():
        yield lambda _done: None
        return
    from rich.console import Console
    from rich.progress import Progress

    # Rich would write what is printed meanwhile to the bar's console: not where stdout is piped to.
    with Progress(
        console=console or Console(stderr=True), transient=True, redirect_stdout=sys.stdout.isatty()
    ) as shown:
        task = shown.add_task(what, total=total)
        yield lambda done: shown.advance(task, done)


def iso(at: float | None) -> str | None:
    """Epoch seconds as ISO 8601 in UTC."""
    if at is None:
        return None
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def as_json(raw: bytes | None) -> Any:
    """Stored JSON, to be printed as it is; as text when it is none."""
    if raw is None:
        return None
    try:
        msgspec.json.decode(raw)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return raw.decode("utf-8", "replace")
    return msgspec.Raw(raw.replace(b"\n", b" ").replace(b"\r", b" "))  # one object a line, however it was sent
