"""One request over and over on many connections, as fast as the server answers: a process of its own on its own core.

python -m loadtest.bench.flood <port> <requests> <connections> <core> < request
"""

import asyncio
import json
import os
import sys
import time
from collections import Counter
from typing import cast

import uvloop

from loadtest.bench.wire import complete


class Flood:
    def __init__(self, given: bytes, requests: int) -> None:
        self.given = given
        self.left = requests
        self.open = 0
        self.statuses: Counter[int] = Counter()
        self.over = asyncio.get_running_loop().create_future()


class _Connection(asyncio.Protocol):
    """Sends the next request as soon as the answer is there."""

    def __init__(self, flood: Flood) -> None:
        self._flood = flood
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own are no subclasses of it

    def next(self) -> None:
        flood = self._flood
        assert self._transport is not None
        if flood.left > 0:
            flood.left -= 1
            flood.open += 1
            self._transport.write(flood.given)
        elif not flood.open and not flood.over.done():
            flood.over.set_result(None)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        answer = complete(self._buffer)
        if answer is None:
            return
        self._buffer = b""
        self._flood.statuses[answer[0]] += 1
        self._flood.open -= 1
        self.next()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._flood.over.done():
            self._flood.over.set_exception(ConnectionError("the server closed a connection"))


async def run(port: int, requests: int, connections: int, given: bytes) -> dict[str, object]:
    loop = asyncio.get_running_loop()
    flood = Flood(given, requests)
    opened = [(await loop.create_connection(lambda: _Connection(flood), "127.0.0.1", port)) for _ in range(connections)]
    began, cpu = time.perf_counter(), time.process_time()
    for _, connection in opened:
        connection.next()
    await flood.over
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "statuses": dict(flood.statuses), "busy": (time.process_time() - cpu) / seconds}


def main() -> None:
    port, requests, connections, core = map(int, sys.argv[1:])
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core} & cores or cores)
    uvloop.install()
    print(json.dumps(asyncio.run(run(port, requests, connections, sys.stdin.buffer.read()))))


if __name__ == "__main__":
    main()
