"""A server of our own: one process with a folder, that ends with its owner, however that ends (guard.py)."""

import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

from tests.services import account as accounts
from tests.services.account import Account

RECORD = "pid"
_RECORDED = ("sh", "-c", 'echo $$ > "$0" && exec "$@"')
"""The process number is on disk before there is a server, so the guard finds it whenever its owner ends."""
_POLL = 0.02
_SHOWN = 500


class Failed(Exception):
    """The server did not start or stop: carries what its log says."""


class OwnServer(ABC):
    """`restart` is the subclass's: `self._launch(…)`, `self._await(…)`."""

    def __init__(self, name: str, folder: Path, guard: "subprocess.Popen[bytes]") -> None:
        """`name`: for messages."""
        self.name = name
        self.folder = folder
        self._guard = guard
        self._server: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Raises Failed when the server is stopped."""
        if self._server is None or self._server.poll() is not None:
            raise Failed(f"{self.name} is stopped: it has no pid")
        return self._server.pid

    @property
    def log(self) -> str:
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    @abstractmethod
    def restart(self) -> None:
        """Stop it if it runs, then start it on the same port, and wait until it answers. Raises Failed."""

    def close(self) -> None:
        """Kill the server and remove its folder. Nothing the second time."""
        assert self._guard.stdin is not None
        self._guard.stdin.close()
        if self._server is not None:
            self._server.wait()
            self._server = None
        self._guard.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _prepare(self) -> None:  # noqa: B027  # most have nothing to prepare
        """What has to be done before the first start."""

    def _started(self) -> Self:
        """Itself, once it answers; nothing of it is left when it does not."""
        try:
            self._prepare()
            self.restart()
        except BaseException:
            self.close()
            raise
        return self

    def _launch(self, command: Sequence[object], account: Account | None = None, recorded: bool = True) -> None:
        """`recorded`: False when the server itself writes down its number."""
        with (self.folder / "log").open("ab") as log:
            self._server = subprocess.Popen(
                [*(_RECORDED if recorded else ()), *([self.folder / RECORD] if recorded else []), *map(str, command)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder, **accounts.process_options(account),
            )  # fmt: skip

    def _end(self, number: signal.Signals, within: float) -> None:
        """By this signal, then by SIGKILL; Failed then. Nothing when it is stopped."""
        server, self._server = self._server, None
        if server is None:
            return
        if server.poll() is None:
            server.send_signal(number)
            server.send_signal(signal.SIGCONT)  # a test may have frozen it
        try:
            server.wait(within)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
            raise Failed(f"{self.name} did not stop ({number.name}) within {within:g} s: {self._said()}") from None

    def _await(self, answers: Callable[[], bool], within: float) -> None:
        end = time.monotonic() + within
        while not answers():
            if self._server is not None and self._server.poll() is not None:
                raise Failed(f"{self.name} ended with {self._server.returncode}: {self._said()}")
            if time.monotonic() > end:
                raise Failed(f"{self.name} did not answer within {within:g} s: {self._said()}")
            time.sleep(_POLL)

    def _said(self) -> str:
        return self.log.strip()[-_SHOWN:]
