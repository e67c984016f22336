"""Many clients on long polls: each waits for one job after the other, and notes when it was told.

    python -m loadtest.bench.waiting_clients <port> <clients> <core> <file>

The ids stand in the file. Writes there when the answer about each job came, in the order of the ids, in seconds of the
monotonic clock, and how much of the core's time this took.
"""

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import uvloop

from loadtest.bench.machine import pinned
from loadtest.bench.wire import Connection, request

WAIT_S = 60


async def run(port: int, clients: int, ids: list[str]) -> dict[str, object]:
    told = [0.0] * len(ids)
    todo = iter(enumerate(ids))
    opened = [await Connection.open(port) for _ in range(clients)]
    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*[_client(connection, todo, told) for connection in opened])
    busy = (time.process_time() - cpu) / (time.perf_counter() - began)
    for connection in opened:
        connection.close()
    return {"told": told, "busy": busy}


async def _client(connection: Connection, todo: Iterator[tuple[int, str]], told: list[float]) -> None:
    for place, id in todo:
        status, said = await connection.ask(request("GET", f"/result/{id}?wait={WAIT_S}"))
        told[place] = time.perf_counter()
        assert status == 200, said


def main() -> None:
    port, clients, core = map(int, sys.argv[1:4])
    file = Path(sys.argv[4])
    ids = json.loads(file.read_text())
    uvloop.install()
    with pinned(core):
        file.write_text(json.dumps(asyncio.run(run(port, clients, ids))))
    print("told of all", flush=True)


if __name__ == "__main__":
    main()
