"""Stops one server and removes its folder as soon as who started it is gone, however it went: the last resort is SIGKILL.

Run as `python guard.py FOLDER PID`, with a pipe at standard input that PID holds open: the pipe's end, or the end of PID,
is the signal. It stands alone (standard library only) and in a session of its own, so that Ctrl-C does not reach it.
"""

import os
import select
import shutil
import signal
import sys
import time
from pathlib import Path

PATIENCE = 10.0
"""Seconds from SIGQUIT to SIGKILL."""


def main(folder: Path, owner: int) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _wait(owner)
    pid = postmaster(folder)
    if pid is not None:
        _end(folder, pid)
    shutil.rmtree(folder, ignore_errors=True)


def postmaster(folder: Path) -> int | None:
    """The process that serves this folder's data; None when it doesn't run."""
    try:
        pid = int((folder / "data" / "postmaster.pid").read_text().split()[0])
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (OSError, ValueError, IndexError):
        return None
    return pid if os.fsencode(folder) in command else None  # another's by now: numbers are used again


def _wait(owner: int) -> None:
    """Until the pipe ends or the owner does: a child of the owner's may hold the pipe open for longer."""
    waiting: list[int] = [sys.stdin.fileno()]
    try:
        waiting.append(os.pidfd_open(owner))
    except OSError:
        return
    select.select(waiting, [], [])


def _end(folder: Path, pid: int) -> None:
    os.kill(pid, signal.SIGQUIT)
    os.kill(pid, signal.SIGCONT)  # a test may have frozen it
    end = time.monotonic() + PATIENCE
    while postmaster(folder) == pid:
        if time.monotonic() > end:
            os.kill(pid, signal.SIGKILL)
            return
        time.sleep(0.02)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
