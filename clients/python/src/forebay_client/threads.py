"""HTTP for threads: httpx's own transport, many times over with one connection each.

httpcore's pool looks at all of its connections, under a lock, for each request that comes or goes: with 64 requests in flight
that costs more than the requests do.
"""

import time
from collections.abc import Callable

import httpx

from forebay_client.lanes import Lanes


class ThreadsTransport(httpx.BaseTransport):
    """Sends each request over a transport that nothing else uses meanwhile. `make` makes one more."""

    def __init__(self, make: Callable[[], httpx.BaseTransport], now: Callable[[], float] = time.monotonic) -> None:
        self._make = make
        self._lanes: Lanes[httpx.BaseTransport] = Lanes(now)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """The answer, read to its end."""
        lane = self._lanes.take() or self._make()
        try:
            response = lane.handle_request(request)
            try:
                response.read()
            finally:
                response.close()
            return response
        finally:
            _close(self._lanes.put(lane))

    def close(self) -> None:
        """Close what is unused now, and what is in use when its answer is there."""
        _close(self._lanes.close())


def _close(transports: list[httpx.BaseTransport]) -> None:
    for transport in transports:
        transport.close()
