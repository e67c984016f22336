"""Real processes of the `forebay` command, each with files of its own, none of which outlives the test."""

import ctypes
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from tests.services.moto_server import ACCESS

T = TypeVar("T")

ROOT = Path(__file__).parents[2]
READY_WITHIN = 60.0
ENDS_WITHIN = 45.0
_URL = re.compile(r"http://127\.0\.0\.1:\d+")


class Unexpected(AssertionError):
    """A process did not do what the test relies on; with the end of what it said."""


class Forebay:
    """One process; `said` and `complained` are its stdout and stderr so far."""

    def __init__(
        self,
        arguments: tuple[str, ...],
        environment: Mapping[str, str],
        folder: Path,
        module: str = "forebay.cli.app",
    ) -> None:
        self.name = f"{arguments[0]}-{time.monotonic_ns()}"
        self._out = folder / f"{self.name}.out"
        self._err = folder / f"{self.name}.err"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", module, *arguments],
                env={**clean_environment(), **environment}, stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=folder,
                start_new_session=True, preexec_fn=_end_with_the_test,
            )  # fmt: skip

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def said(self) -> str:
        return self._out.read_text(errors="replace")

    @property
    def complained(self) -> str:
        return self._err.read_text(errors="replace")

    @property
    def code(self) -> int | None:
        """None while it runs; −9 after a SIGKILL."""
        return self._process.poll()

    def ready(self) -> "Forebay":
        """Wait until it says that it serves."""

        def serves() -> bool:
            if self.code is not None:
                raise Unexpected(f"{self.name} ended with {self.code}: {self.complained[-2000:]}")
            return "ready: " in self.said or "is up: " in self.said

        eventually(serves, READY_WITHIN, lambda: f"{self.name} is not ready: {self.complained[-2000:]}")
        return self

    @property
    def url(self) -> str:
        found = _URL.search(self.said)
        if found is None:
            raise Unexpected(f"{self.name} has not said where it serves: {self.said!r}")
        return found[0]

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def wait(self, within: float = ENDS_WITHIN) -> int:
        """The exit code."""
        try:
            return self._process.wait(within)
        except subprocess.TimeoutExpired:
            raise Unexpected(f"{self.name} still runs after {within:g} s: {self.complained[-2000:]}") from None

    def kill(self) -> None:
        """SIGKILL, and gone when this returns."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        if self.code is None:
            self.signal(signal.SIGTERM)
        return self.wait()

    def children(self) -> list[int]:
        """Process ids, in the order of their start."""
        listed = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        return [int(pid) for pid in listed.split()]


class Place:
    """A home, a store and a model repository that processes share."""

    def __init__(self, folder: Path, models: Path, store: str | None, settings: Mapping[str, str]) -> None:
        self.folder = folder
        self.store = store or f"sqlite:///{folder / 'home' / 'forebay.db'}"
        self.models = models
        self._environment = {
            "FOREBAY_HOME": str(folder / "home"),
            "FOREBAY_STORE": self.store,
            "FOREBAY_MODELS": str(models),
            "FOREBAY_PORT": "0",
            "FOREBAY_LEASE": "2s",
            "FOREBAY_GRACE": "10s",
            **settings,
        }
        self._started: list[Forebay] = []

    def start(self, *arguments: str, **settings: str) -> Forebay:
        """Not yet ready. `settings` by upper-case name without the prefix."""
        return self._start(arguments, "forebay.cli.app", settings)

    def start_module(self, module: str, **settings: str) -> Forebay:
        """A process of the test's own, on the same settings."""
        return self._start((module.rpartition(".")[2],), module, settings)

    def _start(self, arguments: tuple[str, ...], module: str, settings: Mapping[str, str]) -> Forebay:
        environment = self._environment | {f"FOREBAY_{name}": value for name, value in settings.items()}
        process = Forebay(arguments, environment, self.folder, module)
        self._started.append(process)
        return process

    def environ(self, more: Mapping[str, str]) -> None:
        """Variables of what is started from now on."""
        self._environment |= more

    def close(self) -> None:
        for process in self._started:
            if process.code is None:
                process.signal(signal.SIGCONT)
                process.kill()  # children of `up` end with it: they drain, within a moment, for nothing is left to do


@contextmanager
def place(folder: Path, models: Path, store: str | None = None, **settings: str) -> Iterator[Place]:
    there = Place(folder, models, store, {f"FOREBAY_{name}": value for name, value in settings.items()})
    try:
        yield there
    finally:
        there.close()


def eventually(
    look: Callable[[], T], within: float, why: Callable[[], str] = lambda: "it did not happen", every: float = 0.02
) -> T:
    """What `look` answers as soon as it is true. Raises Unexpected."""
    deadline = time.monotonic() + within
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            raise Unexpected(f"within {within:g} s: {why()}")
        time.sleep(every)


def clean_environment() -> dict[str, str]:
    theirs = {name: value for name, value in os.environ.items() if not name.startswith(("FOREBAY_", "AWS_"))}
    return theirs | ACCESS | {"PYTHONUNBUFFERED": "1"}


def _end_with_the_test() -> None:
    """In the child: killed when the test's process is, however that went. Linux only. And it hears Ctrl-C, also when the
    tests run in the background of a shell, where SIGINT is ignored from the start."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
