"""The store's rare calls (cancel, list, counts, probe): on a few threads, answered in bounded time."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from api.problems import overloaded, store_away
from pipelines.store.port import StoreAway

T = TypeVar("T")

_THREADS = 4
_MOST = 256
"""Calls running or waiting: beyond, the client is told to come back."""


class Calls:
    def __init__(self, answer_within: float) -> None:
        self._answer_within = answer_within
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="calls")
        self._open = 0

    async def __call__(self, call: Callable[[], T]) -> T:
        """The call's answer. Raises the Problem 503 when the store is away or too slow, 429 when too many wait."""
        if self._open >= _MOST:
            raise overloaded(f"{self._open} requests wait for the store: try again later")
        self._open += 1
        future = asyncio.get_running_loop().run_in_executor(self._pool, call)
        future.add_done_callback(self._closed)
        try:
            # Shielded: a running call cannot be stopped, and still counts as open.
            return await asyncio.wait_for(asyncio.shield(future), self._answer_within)
        except TimeoutError:
            raise store_away("the store did not answer in time: try again") from None
        except StoreAway as away:
            raise store_away(str(away)) from None

    def stop(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _closed(self, future: "asyncio.Future[T]") -> None:
        self._open -= 1
        if not future.cancelled():
            future.exception()  # looked at: its caller may be gone
