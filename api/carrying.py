"""Calls that wait for where payloads are: on threads of their own, bounded, answered in bounded time."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

from api.problems import overloaded, payloads_away
from pipelines.payloads.port import PayloadsAway

T = TypeVar("T")


class Carrying:
    """Belongs to the event loop."""

    def __init__(self, name: str, threads: int, most: int, most_bytes: int, within: float) -> None:
        """`most`, `most_bytes`: calls, and what they carry, running or waiting; beyond, the client is told to come back.
        `within`: seconds."""
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._most = most
        self._most_bytes = most_bytes
        self._within = within
        self._open = 0
        self._bytes = 0

    async def __call__(self, call: Callable[[], T], size: int = 0) -> T:
        """The call's answer. Raises the Problem 503 when the payloads are away or too slow, 429 when too much waits, and
        what the call raises otherwise."""
        if self._open >= self._most or (self._open and self._bytes + size > self._most_bytes):
            raise overloaded(f"{self._open} requests wait for payloads: try again later")
        self._open += 1
        self._bytes += size
        future = asyncio.get_running_loop().run_in_executor(self._pool, call)
        future.add_done_callback(lambda done: self._closed(done, size))
        try:
            # Shielded: a running call cannot be stopped, and still counts as open.
            return await asyncio.wait_for(asyncio.shield(future), self._within)
        except TimeoutError:
            raise payloads_away("payloads: no answer in time: try again") from None
        except PayloadsAway as away:
            raise payloads_away(str(away)) from None

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
