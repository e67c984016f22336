"""What is printed, and what option texts mean."""

import io
import sys
from typing import Any

import pytest
import typer
from rich.console import Console

from forebay.cli import options, output

NOW = 1_000_000.0


@pytest.mark.parametrize(
    ("given", "seconds"), [("90", 90), ("1.5s", 1.5), ("500ms", 0.5), ("15m", 900), ("7d", 604_800)]
)
def test_durations(given: str, seconds: float) -> None:
    assert options.duration(given) == seconds


@pytest.mark.parametrize("given", ["", "s", "-1", "1w", "1h30m", "inf", "nan", "٣s x", "9" * 400])
def test_bad_durations(given: str) -> None:
    with pytest.raises(typer.BadParameter, match="expected a duration"):
        options.duration(given)


@pytest.mark.parametrize(
    ("given", "at"),
    [
        ("2h", NOW - 7200),
        ("1970-01-02", 86_400.0),
        ("1970-01-01T01:00+01:00", 0.0),
        ("1970-01-01T00:00:30Z", 30.0),
    ],
)
def test_points_in_time(given: str, at: float) -> None:
    assert options.point(given, lambda: NOW) == at


@pytest.mark.parametrize("given", ["soon", "12", "2026-13-01", ""])
def test_bad_points_in_time(given: str) -> None:
    with pytest.raises(typer.BadParameter):
        options.point(given, lambda: NOW)


def test_times_are_iso_8601_in_utc() -> None:
    assert output.iso(0.25) == "1970-01-01T00:00:00.250Z"
    assert output.iso(None) is None


@pytest.mark.parametrize(
    ("raw", "printed"),
    [(b'{"a":\n1}', '{"a": 1}\n'), (b"\xff", '"\ufffd"\n'), (None, "null\n"), (b"[" * 100_000, None)],
)
def test_stored_json_is_printed_on_one_line_as_it_is(
    raw: bytes | None, printed: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    output.json_line(output.as_json(raw))
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert printed is None or out == printed


def test_control_characters_do_not_reach_the_terminal() -> None:
    assert output.line_of("a\x1b[2Jb\nc\x9b") == "a�[2Jb c�"


def test_a_table_on_a_narrow_terminal_keeps_ids_whole(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "60")
    id = "01a1fce0-d6f2-7008-901c-a066a4c7ccc6"
    output.table(("job", "error"), [(id, "[bold]word[/] " * 20)])
    assert id in capsys.readouterr().out


def test_progress_leaves_piped_output_alone(capsys: pytest.CaptureFixture[str]) -> None:
    bar = Console(file=io.StringIO(), force_terminal=True)
    with output.progress("submitting", 2, bar) as advance:
        sys.stdout.write("an id\n")
        advance(2)
    assert capsys.readouterr().out == "an id\n"
    written: Any = bar.file
    assert "submitting" in written.getvalue()


def test_no_progress_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert not sys.stderr.isatty()
    with output.progress("submitting", 1) as advance:
        advance(1)
    assert capsys.readouterr().err == ""
