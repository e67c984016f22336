"""The machine a figure was measured on, in words."""

import os
import platform
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def describe(packages: Iterable[str]) -> list[str]:
    """One line per fact, for the head of a report."""
    return [
        f"CPU: {_cpu()}, {os.cpu_count()} cores seen",
        f"memory: {_memory():.0f} GiB",
        f"system: {platform.system()} {platform.release()}",
        f"Python: {platform.python_implementation()} {platform.python_version()}",
        "versions: " + ", ".join(f"{name} {_version(name)}" for name in packages),
    ]


@contextmanager
def pinned(core: int) -> Iterator[None]:
    """Bind this process to one core for a while; where there is no such core, nothing."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core} & before or before)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def busy() -> float:
    """Processes that wanted a core over the last minute: what else the machine was doing."""
    return os.getloadavg()[0]


def core_speed() -> float:
    """Million rounds of a bare Python loop per second of this core's time. On a shared machine a core's speed changes from
    one second to the next: this tells how much."""
    began, total = time.process_time(), 0
    for number in range(_ROUNDS):
        total += number * 2
    return _ROUNDS / (time.process_time() - began) / 1e6


_ROUNDS = 300_000


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _memory() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
