"""`forebay`: the command."""

import sys
from collections.abc import Collection
from importlib import import_module
from typing import Annotated

import typer
from msgspec import Struct

import forebay
from forebay.cli import errors


class _Command(Struct, frozen=True):
    module: str
    """Below forebay.cli; imported when it is called, since the others' imports take longer than many a command."""
    what: str
    """A function, or the group of commands by this name."""


_COMMANDS = {
    "up": _Command("serve", "up"),
    "api": _Command("serve", "api"),
    "worker": _Command("serve", "worker"),
    "stream": _Command("stream", "stream"),
    "submit": _Command("submit", "submit"),
    "result": _Command("results", "result"),
    "cancel": _Command("results", "cancel"),
    "config": _Command("admin", "config"),
    "jobs": _Command("jobs", "jobs"),
    "score": _Command("score", "score_app"),
    "dlq": _Command("dlq", "dlq"),
    "models": _Command("models", "models_app"),
    "queue": _Command("queue", "queue"),
    "db": _Command("admin", "db"),
}


def _version(wanted: bool) -> None:
    if wanted:
        print(forebay.version())
        raise typer.Exit


def _forebay(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Asynchronous, queue-backed inference workers."""


def build(names: Collection[str] = tuple(_COMMANDS)) -> typer.Typer:
    """With these commands."""
    app = typer.Typer(
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        callback=_forebay,
    )
    for name, command in _COMMANDS.items():
        if name in names:
            found = getattr(import_module(f"forebay.cli.{command.module}"), command.what)
            if isinstance(found, typer.Typer):
                app.add_typer(found, name=name)
            else:
                app.command(name)(found)
    return app


def main() -> None:
    called = sys.argv[1] if len(sys.argv) > 1 else ""
    errors.run(lambda: build({called}) if called in _COMMANDS else build())


if __name__ == "__main__":
    main()
