"""map: bounded in flight, lazy, in order."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from client_driver import Driver, body_of, problem, standing

import forebay_client as fc


def done(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json=standing(str(body_of(request)["inputs"])))


def ids(results: list[fc.Result]) -> list[str]:
    return [result.job_id for result in results]


@pytest.mark.parametrize("in_flight", [1, 3, 64])
def test_results_come_in_the_order_of_the_inputs(client: Driver, in_flight: int) -> None:
    assert ids(client(done).map("m", iter(range(20)), in_flight=in_flight)) == [str(n) for n in range(20)]


def test_nothing_to_do_is_fine_and_no_room_is_not(client: Driver) -> None:
    assert client(done).map("m", []) == []
    with pytest.raises(ValueError, match="in_flight"):
        client(done).map("m", [], in_flight=0)


def test_unordered_results_are_all_there(client: Driver) -> None:
    assert sorted(ids(client(done).map("m", range(20), in_flight=4, ordered=False)), key=int) == [
        str(n) for n in range(20)
    ]


def test_a_failed_job_is_a_result_and_a_refused_item_raises_in_its_place() -> None:
    def serve(request: httpx.Request) -> httpx.Response:
        inputs = body_of(request)["inputs"]
        if inputs == 2:
            return problem(422, "invalid-input")
        return httpx.Response(200, json=standing(str(inputs), "failed" if inputs == 1 else "succeeded"))

    with fc.Client("http://forebay", transport=httpx.MockTransport(serve)) as client:
        results = client.map("m", range(5), in_flight=2)
        assert [next(results).status, next(results).status] == ["succeeded", "failed"]
        with pytest.raises(fc.InvalidRequest):
            next(results)


class Gate:
    """An API that holds every request until it is let through; counts how many it holds."""

    def __init__(self) -> None:
        self.held = threading.Semaphore(0)
        self.free = threading.Event()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.held.release()
        assert self.free.wait(30)
        return done(request)


def test_items_are_drawn_no_faster_than_there_is_room() -> None:
    drawn: list[int] = []

    def items() -> Iterator[int]:
        for n in range(100):
            drawn.append(n)
            yield n

    gate = Gate()
    with fc.Client("http://forebay", transport=httpx.MockTransport(gate)) as client:
        results = client.map("m", items(), in_flight=5)
        assert drawn == []  # nothing before the first result is asked for
        first: list[fc.Result] = []
        reader = threading.Thread(target=lambda: first.append(next(results)))
        reader.start()
        for _ in range(5):
            assert gate.held.acquire(timeout=30)
        assert drawn == [0, 1, 2, 3, 4]
        gate.free.set()
        reader.join()
        assert ids(first) == ["0"]
        assert len(drawn) == 5
        assert ids(list(results)) == [str(n) for n in range(1, 100)]


def test_the_asynchronous_map_draws_no_faster_either_and_leaves_no_task_behind() -> None:
    drawn: list[int] = []

    async def items() -> AsyncIterator[int]:
        for n in range(100):
            drawn.append(n)
            yield n

    async def main() -> None:
        free = asyncio.Event()

        async def hold(request: httpx.Request) -> httpx.Response:
            if body_of(request)["inputs"] > 0:
                await free.wait()
            return done(request)

        async with fc.AsyncClient("http://forebay", transport=httpx.MockTransport(hold)) as client:
            results: Any = client.map("m", items(), in_flight=5)
            assert (await anext(results)).job_id == "0"
            assert len(drawn) <= 5
            await results.aclose()
            assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())
