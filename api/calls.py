"""Calls that wait for something else: on threads of their own, bounded, answered in bounded time."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from api.problems import Problem, locations_away, overloaded, payloads_away, store_away
from pipelines.payloads.port import PayloadsAway
from pipelines.store.port import StoreAway

T = TypeVar("T")


@dataclass(frozen=True)
class Target:
    """What is called."""

    name: str
    away: type[Exception]
    """Raised by a call while it is away."""
    problem: Callable[[str], Problem]
    """The 503."""
    late: str
    """What the client is told of a call that took too long."""
    told: str | None = None
    """What the client is told otherwise; None: what was raised. That may name what is none of its business."""


STORE = Target("the store", StoreAway, store_away, "the store did not answer in time: try again")
_STORE_THREADS, _STORE_MOST = 4, 256
PAYLOADS = Target(
    "payloads", PayloadsAway, payloads_away, "payloads: no answer in time: try again",
    "large inputs and results cannot be kept or brought right now: try again",
)  # fmt: skip
LOCATIONS = Target("scoring locations", OSError, locations_away, "scoring locations: no answer in time: try again")
_LOCATION_THREADS, _LOCATION_MOST = 2, 64


@dataclass(frozen=True)
class Bounds:
    threads: int
    most: int
    """Calls running or waiting: beyond, the client is told to come back."""
    within: float
    """Seconds until the client is answered."""
    most_bytes: int = 1 << 62
    """That the calls carry; one is always let in."""


class Calls:
    """Belongs to the event loop."""

    def __init__(self, target: Target, bounds: Bounds) -> None:
        self._target = target
        self._bounds = bounds
        self._pool = ThreadPoolExecutor(bounds.threads, thread_name_prefix=f"calls of {target.name}")
        self._open = 0
        self._bytes = 0

    async def __call__(self, call: Callable[[], T], size: int = 0) -> T:
        """The call's answer. Raises the Problem 503 when the target is away or too slow, 429 when too much waits, and what
        the call raises otherwise. `size`: bytes that it carries."""
        too_large = self._open and self._bytes + size > self._bounds.most_bytes
        if self._open >= self._bounds.most or too_large:
            raise overloaded(f"{self._open} requests wait for {self._target.name}: try again later")
        self._open += 1
        self._bytes += size
        future = asyncio.get_running_loop().run_in_executor(self._pool, call)
        future.add_done_callback(lambda done: self._closed(done, size))
        try:
            # Shielded: a running call cannot be stopped, and still counts as open.
            return await asyncio.wait_for(asyncio.shield(future), self._bounds.within)
        except TimeoutError:
            raise self._target.problem(self._target.late) from None
        except self._target.away as away:
            raise self._target.problem(self._target.told or str(away)) from None

    def behind(self, call: Callable[[], None]) -> None:
        """Nobody waits for it."""
        with suppress(RuntimeError):  # stopped: what is left is tidied up another day
            self._pool.submit(call)

    def stop(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _closed(self, future: "asyncio.Future[T]", size: int) -> None:
        self._open -= 1
        self._bytes -= size
        if not future.cancelled():
            future.exception()  # looked at: its caller may be gone


def store_calls(within: float) -> Calls:
    """The store's rare calls (cancel, list, counts, probe)."""
    return Calls(STORE, Bounds(_STORE_THREADS, _STORE_MOST, within))


def location_calls(within: float) -> Calls:
    """Looking at where a scoring run reads and writes: a disk may be far away."""
    return Calls(LOCATIONS, Bounds(_LOCATION_THREADS, _LOCATION_MOST, within))
