"""`forebay up`: API and worker as two processes of this machine, watched by a third that does nothing else.

Two processes, so that a model that takes its process down takes no request with it: the worker is started again.
"""

import contextlib
import ctypes
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct

_PR_SET_PDEATHSIG = 1

READY_WITHIN_S = 300.0
STARTING_ENDS_WITHIN_S = 5.0
MOST_FAILED_STARTS = 5
"""In a row: a process that never came to serve is not started a sixth time. One that served and died is started again
however often: jobs that take their worker down each do so max_deliveries times before they are dead letters."""
FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 5.0
CALM_S = 60.0
"""Deaths longer ago lengthen the pause no more."""


class Child(Struct):
    name: str
    process: subprocess.Popen[bytes]
    ready: int
    """The pipe's end where it says that it serves."""
    deaths: list[float] = []
    """Of those that it follows, within CALM_S; monotonic."""
    failed_starts: int = 0
    """In a row, before this one."""
    serves: bool = False


class Up:
    def __init__(self, commands: Mapping[str, Sequence[str]], tell: Callable[[str], None], grace: float) -> None:
        """`commands`: the arguments of the `forebay` command, by name, in the order of their start."""
        self._commands = commands
        self._tell = tell
        self._grace = grace
        self._children: list[Child] = []
        self._signaled = 0
        self._wake_read, self._wake_write = os.pipe()

    def run(self, ready: Callable[[dict[str, str]], None]) -> int:
        """Serve until SIGINT or SIGTERM; the exit code. `ready` gets what each process said, when all serve."""
        os.set_blocking(self._wake_write, False)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)
        try:
            said = {name: self._start_and_wait(name) for name in self._commands}
            if not self._signaled:
                ready(said)
                self._watch()
        except _Failed as failed:
            return failed.code
        finally:
            self._stop_all()
        return 0

    def _on_signal(self, number: int, _frame: object) -> None:
        self._signaled += 1
        with contextlib.suppress(BlockingIOError):
            os.write(self._wake_write, b"!")
        if self._signaled > 1:
            for child in self._children:
                child.process.kill()

    def _start_and_wait(self, name: str) -> str:
        """What it said when it was ready. Raises _Failed when it ended instead; its own message stands above."""
        child = self._start(name)
        said = self._read_line(child.ready)
        if said is None:
            if self._signaled:
                return ""
            raise _Failed(self._code_of(child))
        child.serves = True
        return said

    def _code_of(self, child: Child) -> int:
        """Of one that did not come to serve; it may still run."""
        try:
            return child.process.wait(STARTING_ENDS_WITHIN_S) or 1
        except subprocess.TimeoutExpired:
            self._tell(f"{child.name} did not come to serve within {READY_WITHIN_S:.0f} s")
            return 1

    def _start(self, name: str) -> Child:
        read, write = os.pipe()
        arguments = [sys.executable, "-P", "-m", "forebay.cli.app", *self._commands[name], "--ready-fd", str(write)]
        # A session of its own: Ctrl-C reaches the children through us alone, in order.
        process = subprocess.Popen(
            arguments, pass_fds=(write,), start_new_session=True, stdin=subprocess.DEVNULL, preexec_fn=_end_with_parent
        )
        os.close(write)
        os.set_blocking(read, False)
        child = Child(name, process, read)
        self._children.append(child)
        return child

    def _read_line(self, read: int) -> str | None:
        """None when the pipe was closed, the time is over or a signal came first."""
        deadline = time.monotonic() + READY_WITHIN_S
        said = b""
        with selectors.DefaultSelector() as selector:
            selector.register(read, selectors.EVENT_READ)
            selector.register(self._wake_read, selectors.EVENT_READ)
            while not self._signaled and time.monotonic() < deadline:
                for key, _ in selector.select(1.0):
                    if key.fd != read:
                        continue
                    part = os.read(read, 4096)
                    said += part
                    if said.endswith(b"\n"):
                        return said.decode().strip()
                    if not part:
                        return None
        return None

    def _watch(self) -> None:
        while not self._signaled:
            self._wait(0.5)
            for child in list(self._children):
                ended = child.process.poll() is not None  # before the look: what it said first is not missed
                if not child.serves:
                    self._look(child)
                if ended and not self._signaled:
                    self._restart(child)

    def _look(self, child: Child) -> None:
        """Whether one that was started again has come to serve."""
        with contextlib.suppress(BlockingIOError):
            said = os.read(child.ready, 4096).decode().strip()
            if said:
                child.serves = True
                self._tell(f"{child.name} serves again: {said}")

    def _restart(self, child: Child) -> None:
        now = time.monotonic()
        deaths = [at for at in child.deaths if now - at < CALM_S]
        failed_starts = 0 if child.serves else child.failed_starts + 1
        code = child.process.returncode
        if failed_starts > MOST_FAILED_STARTS:
            self._tell(f"{child.name} ended {failed_starts} times before it served (last: {code}): giving up")
            raise _Failed(1)
        self._tell(f"{child.name} ended with {code}: starting it again")
        self._wait(min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** len(deaths)))
        self._children.remove(child)
        os.close(child.ready)
        if not self._signaled:
            again = self._start(child.name)
            again.deaths, again.failed_starts = [*deaths[-9:], now], failed_starts

    def _wait(self, seconds: float) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._wake_read, selectors.EVENT_READ)
            selector.select(seconds)

    def _stop_all(self) -> None:
        """The API first, so that nothing new comes in; each drains."""
        if self._signaled:
            self._tell("stopping: what runs is finished first, a second signal stops at once")
        for child in self._children:
            if child.process.poll() is None:
                child.process.terminate()
        deadline = time.monotonic() + self._grace + 5
        for child in self._children:
            try:
                child.process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.process.kill()
                child.process.wait()


def _end_with_parent() -> None:
    """In the child: drain when the parent is gone, even if it was killed. Linux only; elsewhere the child stays."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


class _Failed(Exception):
    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code
