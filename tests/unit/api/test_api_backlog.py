"""Admission by what is queued: when a count serves, when it is read again, when it is no reason to refuse."""

import asyncio
from collections.abc import Callable

import pytest

from api.backlog import Backlog
from api.calls import store_calls
from api.depth import Depth
from api.problems import Problem
from pipelines.store.memory import MemoryStore
from pipelines.store.port import Counts, StoreAway
from schemas.jobs import Submission
from schemas.states import State


class Times:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


def _submit(store: MemoryStore, ids: range) -> None:
    store.submit([Submission(f"j{n}", "default", "m", "1", b"{}", b"d%d" % n) for n in ids])


def _run(most: int, body: Callable[[MemoryStore, Backlog, Times], "asyncio.Future[None] | object"]) -> None:
    async def go() -> None:
        times, store = Times(), MemoryStore(Times())
        calls = store_calls(1.0)
        try:
            await body(store, Backlog(store, calls, most, times), times)  # type: ignore[misc]  # an async function
        finally:
            calls.stop()

    asyncio.run(go())


def _refused(backlog: Backlog) -> bool:
    try:
        backlog.check()
    except Problem:
        return True
    return False


async def _counted(backlog: Backlog) -> bool:
    """Let the count be read; whether it refuses then."""
    for _ in range(2):
        refused = _refused(backlog)
        while backlog._reading is not None:
            await asyncio.sleep(0.001)
    return refused


def test_what_workers_finished_makes_room_within_a_moment() -> None:
    async def body(store: MemoryStore, backlog: Backlog, times: Times) -> None:
        _submit(store, range(10))
        assert await _counted(backlog)
        store.cancel(None, [f"j{n}" for n in range(5)])
        times.now += 0.2
        assert not await _counted(backlog)

    _run(10, body)


def test_what_this_process_adds_counts_at_once_and_once() -> None:
    async def body(store: MemoryStore, backlog: Backlog, times: Times) -> None:
        assert not await _counted(backlog)
        backlog.add(10)
        with pytest.raises(Problem, match="limit of 10 jobs"):
            backlog.check()
        times.now += 1.1  # they were added elsewhere, say: the store holds none of them
        assert not await _counted(backlog)

    _run(10, body)


def test_a_count_that_could_not_be_read_again_is_no_reason_to_refuse() -> None:
    async def body(store: MemoryStore, backlog: Backlog, times: Times) -> None:
        _submit(store, range(10))
        await _counted(backlog)
        times.now += 1.1
        assert await _counted(backlog)

        def away(most: int) -> int:
            raise StoreAway("store: gone")

        store.backlog = away  # type: ignore[method-assign]  # the store goes away
        times.now += 4.0
        assert await _counted(backlog)
        times.now += 2.0
        assert not await _counted(backlog)

    _run(10, body)


def test_counting_takes_a_small_share_of_the_time() -> None:
    times, reads = Times(), 0

    def read() -> list[Counts]:
        nonlocal reads
        reads += 1
        times.now += 7.0  # a store of millions of rows
        return [Counts("m", "1", State.QUEUED, reads, 0.0)]

    depth = Depth(read, 5.0, times)
    for _ in range(100):
        depth()
        times.now += 10.0
    assert reads <= 1000 * 0.05 / 7 + 2


def test_while_one_thread_counts_the_others_are_served_the_counts_before() -> None:
    times = Times()
    inner: list[list[Counts] | None] = []
    before = [Counts("m", "1", State.QUEUED, 1, 0.0)]

    def read() -> list[Counts]:
        if times.now > 1_000.0:
            inner.append(depth())
        return before

    depth = Depth(read, 5.0, times)
    assert depth() == before
    times.now += 6.0
    depth()
    assert inner == [before]
