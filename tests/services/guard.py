"""Stops one server and removes its folder as soon as who started it is gone, however it went: the last resort is SIGKILL.

Run as `python guard.py FOLDER PID [RECORD SIGNAL]`, with a pipe at standard input that PID holds open: the pipe's end, or
the end of PID, is the signal. RECORD is the file below FOLDER that begins with the server's process number, SIGNAL the
number of the first thing it is sent. It stands alone (standard library only) and in a session of its own, so that Ctrl-C
does not reach it.
"""

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

PATIENCE = 10.0
"""Seconds from the first signal to SIGKILL."""
POSTMASTER = "data/postmaster.pid"


def guarded(folder: Path, record: str, first: signal.Signals) -> "subprocess.Popen[bytes]":
    """A guard over the server in `folder`, owned by this process: closing its standard input ends the server."""
    return subprocess.Popen(
        [sys.executable, "-I", __file__, folder, str(os.getpid()), record, str(int(first))],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip


def main(folder: Path, owner: int, record: str = POSTMASTER, first: int = signal.SIGQUIT) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _wait(owner)
    pid = running(folder, record)
    if pid is not None:
        with contextlib.suppress(ProcessLookupError):  # it went by itself meanwhile
            _end(folder, record, pid, first)
    shutil.rmtree(folder, ignore_errors=True)


def postmaster(folder: Path) -> int | None:
    """The PostgreSQL that serves this folder's data; None when it doesn't run."""
    return running(folder, POSTMASTER)


def running(folder: Path, record: str) -> int | None:
    """The process that `record` names, as long as it serves this folder; None when it doesn't run."""
    try:
        pid = int((folder / record).read_text().split()[0])
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


def _end(folder: Path, record: str, pid: int, first: int) -> None:
    os.kill(pid, first)
    os.kill(pid, signal.SIGCONT)  # a test may have frozen it
    end = time.monotonic() + PATIENCE
    while running(folder, record) == pid:
        if time.monotonic() > end:
            os.kill(pid, signal.SIGKILL)
            return
        time.sleep(0.02)


if __name__ == "__main__":
    if len(sys.argv) == 5:
        main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
    else:
        main(Path(sys.argv[1]), int(sys.argv[2]))
