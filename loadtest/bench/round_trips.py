"""Many clients, each submitting a job and waiting for its result before the next: the same for every system.

python -m loadtest.bench.round_trips <forebay|celery-wait|celery-poll> <port> <jobs> <clients>
"""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from itertools import cycle
from pathlib import Path
from typing import Any

import uvloop

from loadtest.bench.processes import ROOT
from loadtest.bench.wire import Connection, request

HELD_OUT = ROOT / "models" / "digits" / "heldout.jsonl"
WAIT_S = 20
POLL_S = 0.02

Trip = Callable[[Connection, dict[str, Any]], Awaitable[int]]
"""Submit one input, wait for its result; the digit that was recognised."""


async def forebay(connection: Connection, inputs: dict[str, Any]) -> int:
    body = json.dumps({"model": "digits", "inputs": inputs}).encode()
    status, said = await connection.ask(request("POST", "/predict_async", body))
    assert status == 202, said
    given = request("GET", f"/result/{json.loads(said)['job_id']}?wait={WAIT_S}")
    status, said = await connection.ask(given)
    assert status == 200, said
    return digit(json.loads(said)["result"]["probabilities"])


async def celery_wait(connection: Connection, inputs: dict[str, Any]) -> int:
    """The front end waits with `AsyncResult.get(timeout=…)`."""
    id = await _celery_submit(connection, inputs)
    status, said = await connection.ask(request("GET", f"/result/{id}?wait={WAIT_S}"))
    assert status == 200, said
    return digit(json.loads(said)["probabilities"])


async def celery_poll(connection: Connection, inputs: dict[str, Any]) -> int:
    """The client asks again until `AsyncResult.ready()`."""
    id = await _celery_submit(connection, inputs)
    while True:
        status, said = await connection.ask(request("GET", f"/result/{id}"))
        if status == 200:
            return digit(json.loads(said)["probabilities"])
        assert status == 202, said
        await asyncio.sleep(POLL_S)


async def _celery_submit(connection: Connection, inputs: dict[str, Any]) -> str:
    status, said = await connection.ask(request("POST", "/predict", json.dumps(inputs).encode()))
    assert status == 202, said
    return str(json.loads(said)["id"])


def digit(probabilities: list[float]) -> int:
    return probabilities.index(max(probabilities))


TRIPS: dict[str, Trip] = {"forebay": forebay, "celery-wait": celery_wait, "celery-poll": celery_poll}


async def run(trip: Trip, port: int, jobs: int, clients: int) -> dict[str, Any]:
    rows = [json.loads(line) for line in Path(HELD_OUT).read_text().splitlines()]
    todo = iter([row for row, _ in zip(cycle(rows), range(jobs), strict=False)])
    seconds: list[float] = []
    right = 0

    async def client() -> None:
        nonlocal right
        connection = await Connection.open(port)
        for row in todo:
            began = time.perf_counter()
            answer = await trip(connection, row["inputs"])  # not within `+=`: that would read `right` before it waits
            right += answer == row["label"]
            seconds.append(time.perf_counter() - began)
        connection.close()

    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    return {"seconds": time.perf_counter() - began, "latencies": sorted(seconds), "right": right / jobs}


def main() -> None:
    kind, port, jobs, clients = sys.argv[1], *map(int, sys.argv[2:])
    uvloop.install()
    print(json.dumps(asyncio.run(run(TRIPS[kind], port, jobs, clients))))


if __name__ == "__main__":
    main()
