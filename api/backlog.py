"""Admission by what is queued in the store, when a limit is set."""

import asyncio
from collections.abc import Callable

from api.calls import Calls
from api.problems import Problem, overloaded
from pipelines.store.port import Store

_FRESH = 1.0
"""Seconds that a count serves while there is room."""
_FRESH_WHEN_FULL = 0.1
"""Workers may have made room since: whoever is refused is refused on a count this young."""
_STALE = 5.0
"""Seconds after which a count is no reason to refuse: the store was too slow to count again."""
_FULL = 0.8


class Backlog:
    """Belongs to the event loop. The count is read in the background and kept up by what this process adds."""

    def __init__(self, store: Store, calls: Calls, most: int | None, monotonic: Callable[[], float]) -> None:
        self._store = store
        self._calls = calls
        self._most = most
        self._monotonic = monotonic
        self._counted = 0
        self._added = 0
        """Since the reading of the count began."""
        self._counted_at = float("-inf")
        self._tried_at = float("-inf")
        self._reading: asyncio.Task[None] | None = None

    def check(self) -> None:
        """Raises 429 while the limit is queued or running."""
        if self._most is None:
            return
        now = self._monotonic()
        open_rows = self._counted + self._added
        fresh = _FRESH if open_rows < _FULL * self._most else _FRESH_WHEN_FULL
        if self._reading is None and now - self._tried_at >= fresh:
            self._tried_at = now
            self._reading = asyncio.ensure_future(self._read(self._most))
        if open_rows >= self._most and now - self._counted_at < _STALE:
            raise overloaded(f"the queue holds its limit of {self._most} jobs: try again later")

    def add(self, rows: int) -> None:
        self._added += rows

    async def _read(self, most: int) -> None:
        before = self._added
        try:
            self._counted = await self._calls(lambda: self._store.backlog(most))
            self._added -= before
            self._counted_at = self._monotonic()
        except Problem:
            pass  # the store is away: the submission will say so
        finally:
            self._reading = None
