"""Long polls: who waits for a job (or a scoring run) is woken by its notice, and is looked up once a second, many together."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Generic, TypeVar

from api.grouping import Full, Group
from api.reader import Named, Seen
from pipelines.store.notices import Notices
from schemas.jobs import JobView
from schemas.states import TERMINAL

T = TypeVar("T")
"""What is seen of it."""

_AT_ONCE = 256
_STEPS = 16
"""Looks in every poll interval, each at those that are due: at all of them at once, what notices ask for would wait."""
_LEAST = 64
"""One look is at so many, if they are due, however few wait."""


class Waiter(Generic[T]):
    """Registered before the job is first read, so that no notice falls between."""

    __slots__ = ("future", "id", "left", "tenant")

    def __init__(self, tenant: str, id: str, future: asyncio.Future[T | None]) -> None:
        self.tenant = tenant
        self.id = id
        self.future = future
        """How it ended; None when waiting is over for everybody (shutdown)."""
        self.left = False
        """Nobody waits any more."""


class Waiting(Generic[T]):
    """Belongs to the event loop, but for `drain`."""

    def __init__(
        self, reader: Group[Named, T], notices: Notices, most: int, over: Callable[[T], bool], poll: float = 1.0
    ) -> None:
        """`over`: whether waiting longer than for this changes nothing."""
        self._reader = reader
        self._over_for = over
        self._notices = notices
        self._most = most
        self._poll = poll
        self._waiters: dict[str, list[Waiter[T]]] = {}
        self._due: deque[tuple[float, Waiter[T]]] = deque()
        """When to look for each, the soonest first; also those that left meanwhile."""
        self._timer: asyncio.TimerHandle | None = None
        self._over = False
        self.count = 0

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop_listening: Callable[[], None] = self._notices.listen(on_ended=self._heard)

    def stop(self) -> None:
        self._stop_listening()
        self._end()

    def drain(self) -> None:
        """Answer every long poll now, and each later one at once. From any thread."""
        self._loop.call_soon_threadsafe(self._end)

    def register(self, tenant: str, id: str) -> Waiter[T]:
        waiter: Waiter[T] = Waiter(tenant, id, self._loop.create_future())
        if self._over or self.count >= self._most:
            waiter.future.set_result(None)
            return waiter
        self._waiters.setdefault(id, []).append(waiter)
        # The first look is early, so that the last of a crowd, half an interval behind its first, has it in time too.
        self._due.append((self._loop.time() + self._poll / 2, waiter))
        self.count += 1
        if self._timer is None:
            self._timer = self._loop.call_later(self._poll / _STEPS, self._tick)
        return waiter

    def forget(self, waiter: Waiter[T]) -> None:
        among = self._waiters.get(waiter.id)
        if among is None or waiter not in among:
            return
        among.remove(waiter)
        waiter.left = True
        self.count -= 1
        if not among:
            del self._waiters[waiter.id]

    def _heard(self, ids: list[str]) -> None:
        """Called by the notices' thread."""
        try:
            self._loop.call_soon_threadsafe(self._look, ids)
        except RuntimeError:  # the loop is closed: nobody waits
            return

    def _tick(self) -> None:
        self._timer = None
        if not self._waiters:
            self._due.clear()
            return
        self._look({waiter.id for waiter in self._those_due()})
        self._timer = self._loop.call_later(self._poll / _STEPS, self._tick)

    def _those_due(self) -> list[Waiter[T]]:
        """Those to look for now, of a crowd that came together an eighth."""
        now, most = self._loop.time(), max(_LEAST, 2 * self.count // _STEPS)
        found: list[Waiter[T]] = []
        while self._due and self._due[0][0] <= now and len(found) < most:
            _, waiter = self._due.popleft()
            if not waiter.left:
                found.append(waiter)
        self._due.extend((now + self._poll, waiter) for waiter in found)
        return found

    def _look(self, ids: Iterable[str]) -> None:
        named = list({(waiter.tenant, id) for id in ids for waiter in self._waiters.get(id, ())})
        for start in range(0, len(named), _AT_ONCE):
            self._ask(named[start : start + _AT_ONCE])

    def _ask(self, named: Sequence[Named]) -> None:
        try:
            answer = self._reader.ask(named)
        except Full:
            return  # the next poll asks again
        answer.add_done_callback(lambda done: self._seen(named, done))

    def _seen(self, named: Sequence[Named], answer: asyncio.Future[list[T]]) -> None:
        if answer.cancelled() or answer.exception() is not None:
            return  # the store is away: the next poll asks again
        for (tenant, id), seen in zip(named, answer.result(), strict=True):
            if self._over_for(seen):
                self._wake(tenant, id, seen)

    def _wake(self, tenant: str, id: str, seen: T) -> None:
        for waiter in [waiter for waiter in self._waiters.get(id, ()) if waiter.tenant == tenant]:
            self.forget(waiter)
            if not waiter.future.done():
                waiter.future.set_result(seen)

    def _end(self) -> None:
        self._over = True
        for waiter in [waiter for among in self._waiters.values() for waiter in among]:
            self.forget(waiter)
            if not waiter.future.done():
                waiter.future.set_result(None)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def ended(seen: Seen) -> bool:
    """Whether waiting longer changes nothing. Not for a job not found: its commit may be on the way."""
    return seen is not None and (not isinstance(seen, JobView) or seen.state in TERMINAL)
