"""Kills that fall into a running batch, on purpose."""

import random

from tests.e2e.processes import Forebay, eventually
from tests.e2e.stage import Stage


def kill_in_mid_batch(on: Stage, worker: Forebay, chance: random.Random, most: int = 60) -> None:
    """SIGKILL once this worker has run so many items: under load its device is always in the middle of a batch."""
    until = chance.randint(1, most)
    eventually(
        lambda: sum(pid == worker.pid for pid, _ in on.runs()) >= until,
        30,
        lambda: f"{worker.name} did not run {until} items: {worker.complained[-1000:]}",
        every=0.005,
    )
    worker.kill()


def run_twice(on: Stage) -> int:
    """How many items were run more than once: the evidence that kills fell into batches."""
    seen: dict[int, int] = {}
    for _, n in on.runs():
        seen[n] = seen.get(n, 0) + 1
    return sum(count > 1 for count in seen.values())
