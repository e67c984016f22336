"""CPU time of processes and of what they started, as Linux tells it."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")
_PARENT, _USER, _SYSTEM, _CHILDREN_USER, _CHILDREN_SYSTEM = 1, 11, 12, 13, 14
"""Places after the command's name (proc_pid_stat(5))."""


def cpu_of(pid: int) -> float:
    """Seconds so far, of this process and of all below it; those that ended count once their parent has seen it."""
    found = dict(_processes())
    return sum(_seconds(found[each]) for each in _below(pid, found) if each in found)


def below(pid: int) -> set[int]:
    """This process and all below it."""
    return _below(pid, dict(_processes()))


def _below(pid: int, found: Mapping[int, list[str]]) -> set[int]:
    below = {pid}
    while more := {each for each, stat in found.items() if int(stat[_PARENT]) in below} - below:
        below |= more
    return below


def _seconds(stat: list[str]) -> float:
    return sum(int(stat[place]) for place in (_USER, _SYSTEM, _CHILDREN_USER, _CHILDREN_SYSTEM)) / _TICK


def _processes() -> Iterable[tuple[int, list[str]]]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                stat = (folder / "stat").read_text()
            except OSError:  # it ended meanwhile
                continue
            yield int(folder.name), stat[stat.rindex(")") + 2 :].split()
