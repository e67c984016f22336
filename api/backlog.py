"""Admission by what is queued in the store, when a limit is set."""

import asyncio
from collections.abc import Callable

from api.calls import Calls
from api.problems import Problem, overloaded
from pipelines.store.port import Store
from schemas.states import State

_FRESH = 1.0
"""Seconds that a count serves."""


class Backlog:
    """Belongs to the event loop. The count is read in the background and kept up by what this process adds."""

    def __init__(self, store: Store, calls: Calls, most: int | None, monotonic: Callable[[], float]) -> None:
        self._store = store
        self._calls = calls
        self._most = most
        self._monotonic = monotonic
        self._queued = 0
        self._read_at = float("-inf")
        self._reading: asyncio.Task[None] | None = None

    def check(self) -> None:
        """Raises 429 while more than the limit is queued."""
        if self._most is None:
            return
        if self._reading is None and self._monotonic() - self._read_at >= _FRESH:
            self._reading = asyncio.ensure_future(self._read())
        if self._queued >= self._most:
            raise overloaded(f"{self._queued} jobs are queued, the limit is {self._most}: try again later")

    def add(self, rows: int) -> None:
        self._queued += rows

    async def _read(self) -> None:
        try:
            counts = await self._calls(self._store.counts)
            self._queued = sum(count.count for count in counts if count.state is State.QUEUED)
        except Problem:
            pass  # the store is away: the submission will say so
        finally:
            self._read_at = self._monotonic()
            self._reading = None
