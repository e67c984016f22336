"""What may be named outside of the code: settings, commands, metrics; and what the settings make of an environment."""

import ast
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

import pytest
import typer

from forebay.cli.app import build
from forebay.settings import KAFKA_PREFIX, PREFIX, Settings, load
from tests.deploy.tools import CHECKOUT

_METRIC_TYPES = frozenset({"Counter", "Gauge", "Histogram", "GaugeMetricFamily", "CounterMetricFamily", "counter"})


def is_setting(variable: str) -> bool:
    """Whether Forebay reads this environment variable."""
    if variable.startswith(KAFKA_PREFIX):
        return True  # librdkafka's own
    return variable.removeprefix(PREFIX).lower() in Settings.model_fields


def settings_of(environment: Mapping[str, str], folder: Path) -> Settings:
    """What a process makes of it that has no other settings, in this empty folder. Raises BadSettings."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name in [name for name in os.environ if name.startswith(PREFIX)]:
            patch.delenv(name)
        for name, value in environment.items():
            if name.startswith(PREFIX):
                patch.setenv(name, value)
        return load()


def is_command(arguments: Sequence[str]) -> bool:
    """Whether `forebay <arguments>` begins with a command, and its subcommand where it has some."""
    words = tuple(arguments)
    return words[:2] in COMMANDS or words[:1] in COMMANDS


def _commands() -> Iterator[tuple[str, ...]]:
    top = typer.main.get_command(build())
    for name, command in top.commands.items():  # type: ignore[attr-defined]  # it is a group
        below = getattr(command, "commands", None)
        yield from ((name, sub) for sub in below) if below else [(name,)]


COMMANDS = frozenset(_commands())


@cache
def metrics() -> frozenset[str]:
    """Every name that a scrape may show, a histogram's without its suffixes."""
    return frozenset(
        f"{name.removesuffix('_total')}_total" if kind in ("Counter", "counter") else name
        for package in ("api", "workers", "pipelines", "forebay")
        for file in (CHECKOUT / package).rglob("*.py")
        for kind, name in _metrics_of(ast.parse(file.read_text()))
    )


def _metrics_of(tree: ast.AST) -> Iterator[tuple[str, str]]:
    for call in ast.walk(tree):
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in _METRIC_TYPES):
            continue
        first = call.args[0] if call.args else None
        if isinstance(first, ast.Constant) and re.fullmatch(r"forebay_\w+", str(first.value)):
            yield call.func.id, str(first.value)
