"""Forebay itself, `forebay api` and `forebay worker --scoring`, on a lake of its own. It runs on another Python than these
tests, that of its own environment: FOREBAY_TEST_PYTHON, or the checkout's .venv."""

import ctypes
import json
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from standin import KEY

from forebay_client import Client

HERE = Path(__file__).parent
CHECKOUT = HERE.parents[2]
READY_WITHIN = 60.0
ROWS = 300
"""Of each day of the lake: see lake.py."""

Process = subprocess.Popen[bytes]


def forebay_python() -> str:
    python = os.environ.get("FOREBAY_TEST_PYTHON") or str(CHECKOUT / ".venv" / "bin" / "python")
    if not Path(python).exists():
        missing = f"Forebay's own environment is missing, {python}: run `make venv`, or set FOREBAY_TEST_PYTHON"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    return python


def ended_with_us() -> None:
    """In the child: it ends when the tests do, however they ended."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


@dataclass
class Service:
    lake: Path
    home: Path
    python: str
    url: str = ""
    processes: list[Process] = field(default_factory=list)
    workers: list[Process] = field(default_factory=list)

    def start(self, *command: str) -> Process:
        """Serving when this returns. Forebay is what lies in this checkout."""
        said = self.home / f"{command[0]}-{len(self.processes)}.log"
        with said.open("wb") as log:
            process = subprocess.Popen(
                [self.python, "-m", "forebay.cli.app", *command], cwd=CHECKOUT, env=self._environment(), stdout=log,
                stderr=log, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=ended_with_us,
            )  # fmt: skip
        self.processes.append(process)
        within(READY_WITHIN, f"{command} serves", lambda: _serves(process, said))
        if command[0] == "api":
            self.url = re.findall(r"http://127\.0\.0\.1:\d+", said.read_text())[0]
        return process

    def worker(self) -> None:
        self.workers.append(self.start("worker", "--scoring"))

    def kill(self, process: Process) -> None:
        process.kill()
        process.wait()

    @contextmanager
    def slow(self, until: Callable[[], Any] = lambda: False) -> Iterator[None]:
        """A second a row, until this holds or the block is over."""
        over = threading.Event()

        def watch() -> None:
            while not (until() or over.wait(0.1)):
                pass
            (self.lake / "slow").unlink()

        (self.lake / "slow").touch()
        watching = threading.Thread(target=watch)
        watching.start()
        try:
            yield
        finally:
            over.set()
            watching.join()

    def client(self) -> Client:
        return Client(self.url, key=KEY)

    def runs(self, prefix: str) -> dict[str, Any]:
        """Those whose name begins like this."""
        with self.client() as client:
            return {run.run_id: run for run in client.scoring_runs() if run.run_id.startswith(prefix)}

    def output(self, name: str, day: str) -> Path:
        return self.lake / name / f"dt={day}"

    def read(self, *outputs: Path) -> list[dict[str, Any]]:
        """Of each: `ids`, `run`, `success`, `strays`."""
        found: list[dict[str, Any]] = json.loads(self.lakes("read", *map(str, outputs)))
        return found

    def lakes(self, *command: str) -> str:
        told = [self.python, str(HERE / "lake.py"), *command]
        paths = os.pathsep.join((str(CHECKOUT), str(CHECKOUT / "clients" / "python" / "src")))
        done = subprocess.run(
            told, env=self._environment() | {"PYTHONPATH": paths}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _environment(self) -> dict[str, str]:
        theirs = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "FOREBAY_"))}
        return theirs | {
            "FOREBAY_HOME": str(self.home),
            "FOREBAY_MODELS": str(self.lake / "models"),
            "FOREBAY_SCORING_ROOTS": str(self.lake),
            "FOREBAY_KEYS": json.dumps({"team": KEY}),
            "FOREBAY_PORT": "0",
            "FOREBAY_LEASE": "2s",
            "FOREBAY_GRACE": "5s",
            "PYTHONUNBUFFERED": "1",
        }

    def stop(self) -> None:
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.wait()


def ids_of(day: str) -> list[int]:
    """Of the rows of this day: see lake.py."""
    first = int(day.replace("-", "")) * 1000
    return list(range(first, first + ROWS))


@contextmanager
def serving(lake: Path, home: Path, workers: int) -> Iterator[Service]:
    home.mkdir()
    service = Service(lake, home, forebay_python())
    try:
        service.lakes("make", str(lake))
        service.start("api")
        for _ in range(workers):
            service.worker()
        yield service
    finally:
        service.stop()


def _serves(process: Process, said: Path) -> bool:
    assert process.poll() is None, said.read_text()[-3000:]
    return "ready: " in said.read_text()


def within(seconds: float, what: str, holds: Callable[[], Any]) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"not within {seconds:g} s: {what}"
        time.sleep(0.1)
