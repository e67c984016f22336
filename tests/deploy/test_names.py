"""What the documents and the files under deploy/ name is there: settings, commands, metrics, files."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.names import COMMANDS, is_command, is_setting, metrics
from tests.deploy.tools import CHECKOUT

DOCUMENTS = [CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").rglob("*.md")), CHECKOUT / "deploy" / "README.md"]
# The distribution for Airflow names things of its own, and has tests of its own.
FILES = sorted(
    file
    for file in (CHECKOUT / "deploy").rglob("*")
    if file.is_file() and file.suffix != ".sum" and CHECKOUT / "deploy" / "airflow" not in file.parents
)
OURS = re.compile(r"\bFOREBAY_[A-Z_]+\b(?!\*|_…)")
OF_THE_TESTS = "FOREBAY_TEST_"
METRIC = re.compile(r"\bforebay_[a-z_]+\b")
NO_METRIC = {"forebay_client", "forebay_stream_offsets"}
"""A package and a table."""
CODE = re.compile(r"`([^`\n]+)`|^    (.+)$", re.MULTILINE)
COMMAND = re.compile(r"(?:^|(?<!-n)[ /])forebay ([a-z]+(?:-[a-z]+)*)(?: ([a-z]+(?:-[a-z]+)*))?")
GROUPS = {words[0] for words in COMMANDS if len(words) == 2}


def named(file: Path) -> str:
    return str(file.relative_to(CHECKOUT))


@pytest.mark.parametrize("file", [*DOCUMENTS, *FILES], ids=named)
def test_settings_that_are_named_are_settings(file: Path) -> None:
    found = {name for name in OURS.findall(file.read_text()) if not name.endswith("_")}
    assert not {name for name in found if not name.startswith(OF_THE_TESTS) and not is_setting(name)}


@pytest.mark.parametrize("file", [*DOCUMENTS, *FILES], ids=named)
def test_metrics_that_are_named_are_metrics(file: Path) -> None:
    known = metrics() | NO_METRIC
    histograms = {name + suffix for name in known for suffix in ("_bucket", "_count", "_sum")}
    assert not set(METRIC.findall(file.read_text())) - known - histograms


def test_metrics_are_found_in_the_code() -> None:
    assert {"forebay_jobs", "forebay_claims_total", "forebay_stream_lag", "forebay_queue_lag"} <= metrics()


@pytest.mark.parametrize("file", DOCUMENTS, ids=named)
def test_commands_that_are_named_are_commands(file: Path) -> None:
    wrong = {words for words in commands_in(file.read_text()) if not is_command(words)}
    assert not {words for words in wrong if words[:1] not in {(group,) for group in GROUPS} or len(words) == 2}


def commands_in(text: str) -> Iterator[tuple[str, ...]]:
    for inline, block in CODE.findall(text):
        for command in COMMAND.findall((inline or block).partition("#")[0]):
            yield tuple(filter(None, command))


@pytest.mark.parametrize("file", DOCUMENTS, ids=named)
def test_links_lead_somewhere(file: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", file.read_text())
    assert not {link for link in links if not (file.parent / link).exists()}
