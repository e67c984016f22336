"""HTTP for asyncio tasks: see `threads` for the reason."""

import time
from collections.abc import Callable

import httpx

from forebay_client.lanes import Lanes


class TasksTransport(httpx.AsyncBaseTransport):
    """Sends each request over a transport that nothing else uses meanwhile. `make` makes one more."""

    def __init__(self, make: Callable[[], httpx.AsyncBaseTransport], now: Callable[[], float] = time.monotonic) -> None:
        self._make = make
        self._lanes: Lanes[httpx.AsyncBaseTransport] = Lanes(now)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The answer, read to its end."""
        lane = self._lanes.take() or self._make()
        try:
            response = await lane.handle_async_request(request)
            try:
                await response.aread()
            finally:
                await response.aclose()
            return response
        finally:
            await _close(self._lanes.put(lane))

    async def aclose(self) -> None:
        """Close what is unused now, and what is in use when its answer is there."""
        await _close(self._lanes.close())


async def _close(transports: list[httpx.AsyncBaseTransport]) -> None:
    for transport in transports:
        await transport.aclose()
