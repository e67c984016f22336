"""What a shell can do to the command: bytes that are no text, readers that leave, streams that are closed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from cli_driver import Command

from forebay.cli import errors

FOREBAY = [sys.executable, "-m", "forebay.cli.app"]


@pytest.mark.parametrize(
    "arguments", [["\udcff"], ["result", "\udcff"], ["jobs", "ls", "--home", "a\udcff"], ["config", "--home=\udcff"]]
)
def test_an_argument_that_is_no_utf_8(forebay: Command, arguments: list[str]) -> None:
    said = forebay(*arguments)
    assert (said.code, said.one_line, said.out) == (errors.Exit.USAGE, True, "")
    assert said.err == f"forebay: argument {len(arguments)} is {arguments[-1]!r}: expected UTF-8\n"


@pytest.mark.parametrize("command", [["--help"], ["config"], ["nope"]])
@pytest.mark.parametrize("both", [False, True])
def test_a_reader_that_has_left(forebay: Command, command: list[str], both: bool) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [*FOREBAY, *command],
        stdout=writing,
        stderr=writing if both else subprocess.PIPE,
        cwd=forebay.folder,
        check=False,
    )
    os.close(writing)
    if command == ["nope"] and not both:
        assert done.returncode == errors.Exit.USAGE
    else:
        assert (done.returncode, done.stderr or b"") == (141, b"")


@pytest.mark.parametrize(
    ("redirected", "code", "told"),
    [
        ("config >&-", 0, ""),
        ("nope 2>&-", 2, ""),
        ("submit digits --file - <&-", 1, "forebay: -: no inputs in it\n"),
        ("config >/dev/full", 1, "forebay: No space left on device\n"),
    ],
)
def test_closed_and_full_streams(forebay: Command, redirected: str, code: int, told: str) -> None:
    done = subprocess.run(
        ["sh", "-c", f'"{FOREBAY[0]}" -m forebay.cli.app {redirected}'],
        capture_output=True,
        text=True,
        cwd=forebay.folder,
        check=False,
    )
    assert (done.returncode, done.stderr) == (code, told)


@pytest.mark.parametrize("odd", ["a?b", "50%25", "a b#c"])
def test_any_folder_can_be_home(forebay: Command, odd: str) -> None:
    home = forebay.folder / odd
    assert forebay("db", "upgrade", "--home", str(home)).code == 0
    assert Path(home, "forebay.db").is_file()
    assert forebay("jobs", "ls", "--home", str(home)).code == 0


@pytest.mark.parametrize("command", [["jobs", "ls"], ["db", "upgrade"], ["submit", "digits", "--input", "{}"]])
@pytest.mark.parametrize(
    "url", ["sqlite:///", "sqlite://host/x", "sqlite:///.", "sqlite:///a%00b", "sqlite:///x?uri=true"]
)
def test_odd_sqlite_urls_are_told_in_a_line(
    forebay: Command, monkeypatch: pytest.MonkeyPatch, url: str, command: list[str]
) -> None:
    monkeypatch.setenv("FOREBAY_STORE", url)
    said = forebay(*command)
    assert (said.code, said.one_line) == (errors.Exit.FAILED, True)
    assert said.err.startswith("forebay: store")
