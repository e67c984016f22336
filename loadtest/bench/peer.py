"""Somebody else's way to do the same, in an environment of its own (loadtest/peers/<name>)."""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from loadtest.bench.processes import ROOT

PEERS = ROOT / "loadtest" / "peers"


@dataclass(frozen=True)
class Peer:
    name: str
    title: str
    arguments: Sequence[str]
    shown: Sequence[str]
    """Packages whose versions are told."""

    @property
    def venv(self) -> Path:
        return ROOT / f".venv-peers-{self.name}"

    @property
    def _python(self) -> Path:
        return self.venv / "bin" / "python"

    def install(self) -> None:
        """Build the environment when it is missing or its requirements changed."""
        wanted, done = PEERS / self.name / "requirements.txt", self.venv / "installed.txt"
        if done.exists() and done.read_text() == wanted.read_text():
            return
        subprocess.run([sys.executable, "-m", "venv", "--clear", self.venv], check=True)
        pip = (self._python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        subprocess.run([*pip, "-r", wanted], check=True)
        done.write_text(wanted.read_text())

    def packages(self) -> str:
        """What it runs on, in words."""
        pip = (self._python, "-m", "pip", "freeze")
        said = subprocess.run(pip, capture_output=True, text=True, check=True).stdout.splitlines()
        starts = tuple(f"{name}==" for name in self.shown)
        return ", ".join(line.replace("==", " ") for line in said if line.startswith(starts))

    def command(self) -> list[str | Path]:
        return [self._python, PEERS / self.name / "app.py", *self.arguments]
