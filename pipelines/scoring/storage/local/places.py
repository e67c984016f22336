"""Where everything of one output lies.

<parent>/<name>/                        the output
<parent>/.<name>.forebay-lock           who is at it
<parent>/.<name>.forebay-<run>/         made aside, by one run:
    out/                                what becomes the output, by one rename; the old output after that
    old/                                the old output, where folders cannot be exchanged
    publishing                          the digest of the manifest that is being published
    _run/                               records
    tmp/                                what is being written
"""

import os
from pathlib import Path

from msgspec import Struct

from pipelines.scoring.faults import BadOrder
from pipelines.scoring.storage.naming import checked_run

MARK = ".forebay-"
_MOST_NAME = 255
"""Bytes of a name, on the file systems of Linux."""


class Aside(Struct, frozen=True):
    """Of one run."""

    folder: Path

    @property
    def made(self) -> Path:
        return self.folder / "out"

    @property
    def old(self) -> Path:
        return self.folder / "old"

    @property
    def publishing(self) -> Path:
        return self.folder / "publishing"

    @property
    def records(self) -> Path:
        return self.folder / "_run"

    @property
    def temporary(self) -> Path:
        return self.folder / "tmp"


class Places(Struct, frozen=True):
    out: Path
    """Absolute."""

    @classmethod
    def of(cls, given: Path) -> "Places":
        """Raises BadOrder."""
        out = Path(os.path.abspath(given))  # links stay as they are: an output that is one is refused
        if not out.name or MARK in out.name:
            raise BadOrder(f"output {out}: expected a folder with a name, and none of {MARK!r} in it")
        return cls(out)

    @property
    def parent(self) -> Path:
        return self.out.parent

    @property
    def lock(self) -> Path:
        return self.parent / f"{self._prefix}lock"

    def aside(self, run_id: str) -> Aside:
        """Raises BadOrder."""
        name = f"{self._prefix}{checked_run(run_id)}"
        if len(os.fsencode(name)) > _MOST_NAME:
            raise BadOrder(
                f"output …/{_short(self.out.name)}, run id {_short(run_id)}: too long together, for a folder .NAME{MARK}RUN of"
                f" at most {_MOST_NAME} bytes: give a shorter --run-id, or name another output"
            )
        return Aside(self.parent / name)

    def asides(self) -> list[Aside]:
        """Of all runs that left something. Raises OSError."""
        with os.scandir(self.parent) as entries:
            return [
                Aside(self.parent / entry.name)
                for entry in entries
                if entry.name.startswith(self._prefix) and entry.is_dir(follow_symlinks=False)
            ]

    @property
    def _prefix(self) -> str:
        return f".{self.out.name}{MARK}"


def _short(name: str, most: int = 40) -> str:
    return name if len(name) <= most else f"{name[:most]}…"
