"""A whole process from start to exit: how long it took, and the most memory that it and those below it held."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import monotonic, sleep
from typing import NamedTuple

from loadtest.bench.cpu import below
from loadtest.bench.processes import child

_LOOK_S = 0.02


class Failed(Exception):
    """One line: which command, and how it ended."""


class Whole(NamedTuple):
    seconds: float
    peak: float
    """MB (10⁶ bytes) of resident memory: the sum of each process's own most, so no less than they held at once."""
    said: str
    """On stdout."""


def whole(command: Sequence[str | Path], env: Mapping[str, str] | None = None, quiet: bool = False) -> Whole:
    """Raises Failed. `quiet`: what it says on stderr is not shown. What it says on stdout is little."""
    began = monotonic()
    with child(command, env=env, stderr=subprocess.DEVNULL if quiet else None) as process:
        assert process.stdout is not None
        said = process.stdout.read()  # until it ends
        code = process.wait()
        seconds = monotonic() - began
    if code:
        raise Failed(f"{' '.join(map(str, command))}: ended with {code}")
    return Whole(seconds, 0.0, said)


def with_memory(command: Sequence[str | Path], env: Mapping[str, str] | None = None) -> Whole:
    """The same, watched: that takes a little of a core."""
    began, most = monotonic(), dict[int, int]()
    with child(command, env=env) as process:
        while (ended := os.wait4(process.pid, os.WNOHANG))[0] == 0:
            for pid in below(process.pid):
                most[pid] = max(most.get(pid, 0), _most_held(pid))
            sleep(_LOOK_S)
        seconds = monotonic() - began
        process.returncode = code = os.waitstatus_to_exitcode(ended[1])
        assert process.stdout is not None
        said = process.stdout.read()
    if code:
        raise Failed(f"{' '.join(map(str, command))}: ended with {code}")
    most[process.pid] = max(most.get(process.pid, 0), ended[2].ru_maxrss)
    return Whole(seconds, sum(most.values()) * 1024 / 1e6, said)


def _most_held(pid: int) -> int:
    """KiB; 0 when it ended meanwhile."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")), 0)
