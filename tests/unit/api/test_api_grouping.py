"""Requests that arrive together are served together, and one that fails costs the others nothing."""

import asyncio
import threading
from collections.abc import Awaitable, Callable

import pytest

from api.grouping import Full, Group
from pipelines.store.port import StoreAway

Numbers = Group[int, int]


def together(group: Numbers, main: Callable[[Numbers], Awaitable[None]]) -> None:
    async def run() -> None:
        group.start()
        try:
            await main(group)
        finally:
            await group.stop()

    asyncio.run(run())


def test_what_arrives_during_the_work_goes_as_one_list() -> None:
    lists: list[list[int]] = []
    go = threading.Event()

    def work(items: list[int]) -> list[int]:
        lists.append(items)
        go.wait(10)
        return [item * 2 for item in items]

    async def main(group: Numbers) -> None:
        first = group.ask([1])
        while not lists:
            await asyncio.sleep(0.001)
        others = [group.ask([n]) for n in (2, 3)] + [group.ask([4, 5])]
        go.set()
        assert await first == [2]
        assert await asyncio.gather(*others) == [[4], [6], [8, 10]]

    together(Group("test", work, answer_within=20), main)
    assert lists == [[1], [2, 3, 4, 5]]


def test_those_who_were_answered_together_meet_again() -> None:
    """Each asks again as soon as it is answered: without lingering most lists hold one request."""
    sizes: list[int] = []

    def work(items: list[int]) -> list[int]:
        sizes.append(len(items))
        threading.Event().wait(0.002)
        return items

    async def client(group: Numbers) -> None:
        for n in range(20):
            await group.ask([n])

    async def main(group: Numbers) -> None:
        await asyncio.gather(*(client(group) for _ in range(16)))

    together(Group("test", work, answer_within=20), main)
    assert sum(sizes) == 320
    assert sum(sizes) / len(sizes) > 8


def test_one_that_breaks_the_work_fails_alone() -> None:
    def work(items: list[int]) -> list[int]:
        if 13 in items:
            raise ValueError("no thirteen")
        return items

    async def main(group: Numbers) -> None:
        outcomes = await asyncio.gather(*(group.ask([n]) for n in (12, 13, 14)), return_exceptions=True)
        assert outcomes[0] == [12]
        assert isinstance(outcomes[1], ValueError)
        assert outcomes[2] == [14]

    together(Group("test", work, answer_within=20), main)


def test_a_work_that_hangs_is_answered_for_and_a_full_one_refuses() -> None:
    go = threading.Event()

    def work(items: list[int]) -> list[int]:
        go.wait(10)
        return items

    async def main(group: Numbers) -> None:
        waiting = group.ask([1, 2])
        with pytest.raises(Full):
            group.ask([3])
        with pytest.raises(StoreAway):
            await waiting
        go.set()

    together(Group("test", work, backlog=2, answer_within=0.05), main)
