"""Who waits is looked up once a second, a few at a time, whether a notice comes or not."""

import asyncio
import selectors
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from api_fakes import FakeNotices

from api.grouping import Full
from api.reader import Named, Seen
from api.waiting import Waiting, ended
from schemas.jobs import JobView, Timings
from schemas.states import State


class Jumping(selectors.DefaultSelector):
    """Does not wait: time jumps to where the waiting would end."""

    now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        self.now += timeout or 0.0
        return super().select(0)


def run(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """On a loop whose time is the test's."""
    selector = Jumping()
    loop = asyncio.SelectorEventLoop(selector)
    loop.time = lambda: selector.now  # type: ignore[method-assign]  # what every timer goes by
    try:
        loop.run_until_complete(work())
    finally:
        loop.close()


class Reader:
    """Answers at once; `asked` has the time and the ids of every question."""

    def __init__(self) -> None:
        self.states: dict[str, State] = {}
        self.asked: list[tuple[float, list[str]]] = []
        self.full = False

    def ask(self, wanted: Sequence[Named]) -> "asyncio.Future[list[Seen]]":
        if self.full:
            raise Full("full")
        loop = asyncio.get_running_loop()
        self.asked.append((loop.time(), [id for _, id in wanted]))
        answer: asyncio.Future[list[Seen]] = loop.create_future()
        answer.set_result([self._view(tenant, id) for tenant, id in wanted])
        return answer

    def _view(self, tenant: str, id: str) -> JobView:
        state = self.states.get(id, State.RUNNING)
        return JobView(id, tenant, state, "m", "1", 5, 0, 0, Timings(0.0))


def waiting_on(reader: Reader, notices: FakeNotices) -> Waiting:
    waiting = Waiting(reader, notices, 10_000, ended)  # type: ignore[arg-type]  # the part of it that is asked
    waiting.start()
    return waiting


def test_a_crowd_is_looked_up_in_small_parts_each_within_a_second() -> None:
    async def body() -> None:
        reader = Reader()
        waiting = waiting_on(reader, FakeNotices())
        for n in range(1000):
            waiting.register("t", f"j{n}")
        await asyncio.sleep(10.05)
        sizes = [len(ids) for _, ids in reader.asked]
        assert max(sizes) <= 125
        first = {id: at for at, ids in reversed(reader.asked) for id in ids}
        assert len(first) == 1000
        assert max(first.values()) <= 1.0
        looks = Counter(id for _, ids in reader.asked for id in ids)
        assert set(looks.values()) <= {9, 10}, "about once a second"
        waiting.stop()

    run(body)


def test_a_job_that_ends_without_a_notice_is_told_within_a_second() -> None:
    async def body() -> None:
        reader = Reader()
        waiting = waiting_on(reader, FakeNotices())
        waiter = waiting.register("t", "a")
        await asyncio.sleep(3.3)
        reader.states["a"] = State.SUCCEEDED
        seen = await asyncio.wait_for(waiter.future, 1.1)
        assert isinstance(seen, JobView)
        assert waiting.count == 0
        waiting.stop()

    run(body)


def test_a_notice_is_looked_up_at_once_and_who_left_is_not() -> None:
    async def body() -> None:
        reader, notices = Reader(), FakeNotices()
        waiting = waiting_on(reader, notices)
        stays, leaves = waiting.register("t", "a"), waiting.register("t", "b")
        waiting.forget(leaves)
        reader.states["a"] = State.SUCCEEDED
        notices.ended(["a", "b", "c"])
        await asyncio.wait_for(stays.future, 0.01)
        assert [ids for _, ids in reader.asked] == [["a"]]
        await asyncio.sleep(5)
        assert len(reader.asked) == 1, "nobody waits, and still somebody is looked up"
        waiting.stop()

    run(body)


def test_who_left_leaves_nothing_behind() -> None:
    async def body() -> None:
        waiting = waiting_on(Reader(), FakeNotices())
        waiting.register("t", "stays")
        for n in range(1000):
            waiting.forget(waiting.register("t", f"j{n}"))
        await asyncio.sleep(20)
        assert len(waiting._due) == 1
        waiting.stop()

    run(body)


def test_a_store_that_is_busy_is_asked_again() -> None:
    async def body() -> None:
        reader = Reader()
        waiting = waiting_on(reader, FakeNotices())
        waiter = waiting.register("t", "a")
        reader.states["a"], reader.full = State.SUCCEEDED, True
        await asyncio.sleep(3)
        reader.full = False
        await asyncio.wait_for(waiter.future, 1.1)
        waiting.stop()

    run(body)
