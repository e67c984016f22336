"""`forebay db upgrade | config`, the front page, and faults of the command line itself."""

import subprocess
import sys

import pytest
import typer
from cli_driver import Command

from forebay import version
from forebay.cli import errors
from schemas.tables import LEVEL


def test_upgrade_says_the_level_before_and_after(forebay: Command) -> None:
    place = f"sqlite:///{forebay.home}/forebay.db"
    assert forebay("db", "upgrade").out == f"store {place}: made, level {LEVEL}\n"
    assert forebay("db", "upgrade").out == f"store {place}: at level {LEVEL} already\n"
    assert forebay("db", "upgrade", "--json").records == [{"store": place, "before": LEVEL, "after": LEVEL}]


def test_upgrade_of_a_store_that_is_away(forebay: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOREBAY_STORE", "mysql://somewhere/x")
    said = forebay("db", "upgrade")
    assert (said.code, said.one_line) == (errors.Exit.FAILED, True)
    assert "'mysql' is not supported" in said.err


def test_config_masks_secrets_and_names_its_file(forebay: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    (forebay.folder / "forebay.toml").write_text("port = 81\n")
    monkeypatch.setenv("FOREBAY_STORE", "postgresql://me:hunter2@host/db")
    monkeypatch.setenv("FOREBAY_KEYS", '{"ann": "a-key-of-ann-0123456789"}')
    text, (record,) = forebay("config"), forebay("config", "--json").records
    assert record["file"] == str(forebay.folder / "forebay.toml")
    assert record["settings"]["port"] == 81
    assert "port = 81" in text.out
    assert "forebay.toml: read" in text.out
    for shown in (text.out, str(record)):
        assert "hunter2" not in shown
        assert "a-key-of-ann" not in shown


def test_config_writes_durations_as_people_do(forebay: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOREBAY_LEASE", "1500ms")
    text, (record,) = forebay("config").out.splitlines(), forebay("config", "--json").records
    assert {"retention = 7d", "lease = 1500ms", "grace = 30s", "max_body = 8MiB", "inline_bytes = 64KiB"} <= set(text)
    assert {name: record["settings"][name] for name in ("retention", "lease", "grace")} == {
        "retention": 604_800,
        "lease": 1.5,
        "grace": 30,
    }


def test_config_without_a_file(forebay: Command) -> None:
    assert forebay("config", "--json").records[0]["file"] is None
    assert "forebay.toml: not there" in forebay("config").out


def test_every_bad_setting_is_named(forebay: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOREBAY_PORT", "x")
    monkeypatch.setenv("FOREBAY_LEASE", "0")
    said = forebay("config")
    assert said.code == errors.Exit.FAILED
    assert [line.split(":")[1].strip() for line in said.err.splitlines()] == ["port", "lease"]


def test_an_unknown_setting_is_named(forebay: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOREBAY_PROT", "80")
    said = forebay("jobs", "ls")
    assert (said.code, said.one_line, "FOREBAY_PROT: no such setting" in said.err) == (1, True, True)


def test_version_and_help(forebay: Command) -> None:
    assert forebay("--version").out == f"{version()}\n"
    said = forebay("-h")
    assert said.code == 0
    for command in ("up", "api", "worker", "submit", "result", "cancel", "jobs", "dlq", "models", "db", "config"):
        assert f" {command} " in said.out


def test_an_unknown_command(forebay: Command) -> None:
    said = forebay("job")
    assert (said.code, said.one_line, "'job'" in said.err) == (errors.Exit.USAGE, True, True)


def test_our_own_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["forebay"])
    broken = typer.Typer()

    @broken.command()
    def command() -> None:
        raise KeyError("bug")

    with pytest.raises(KeyError):
        errors.run(broken)


HEAVY = {"sqlalchemy", "alembic", "numpy", "fastapi", "pydantic", "uvicorn", "torch", "onnxruntime", "psycopg"}


@pytest.mark.parametrize(
    ("command", "needed"),
    [
        ("", set()),
        ("jobs ls", {"sqlalchemy", "pydantic"}),
        ("models ls", {"numpy", "pydantic"}),
        ("config", {"pydantic"}),
    ],
)
def test_a_command_imports_only_what_it_needs(forebay: Command, command: str, needed: set[str]) -> None:
    assert forebay("db", "upgrade").code == 0
    code = f"""
import sys, forebay.cli.app
sys.argv = ["forebay", *{command.split()}]
try:
    forebay.cli.app.main() if sys.argv[1:] else None
except SystemExit as ended:
    assert not ended.code, ended.code
print(*{{name.partition('.')[0] for name in sys.modules}}, file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=forebay.folder)
    assert HEAVY & set(done.stderr.splitlines()[-1].split()) == needed
