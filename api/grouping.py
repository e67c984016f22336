"""Requests that arrive together are served together.

One thread does the work on a whole list at a time; while it runs the next list gathers. So the list grows with the
load and the cost of a commit (or a query) is shared by everyone who waited for the one before. Those who were just
answered tend to ask again at once: when many were, the thread lingers a moment for them, never for a lone client.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Generic, TypeAlias, TypeVar

from pipelines.store.port import StoreAway

T = TypeVar("T")
R = TypeVar("R")

_TICK = 0.1
"""Seconds between looks for requests that waited too long."""

LINGER_S = 0.002
"""The longest that a list waits for company; nor longer than the work on the list before took."""

log = logging.getLogger(__name__)


class Full(Exception):
    """Too much waits already: nothing was taken."""


class Ticket(Generic[T, R]):
    """One request's items and the future that waits for their outcomes."""

    __slots__ = ("due", "future", "items", "size")

    def __init__(self, items: Sequence[T], size: int, future: asyncio.Future[list[R]], due: float) -> None:
        self.items = items
        self.size = size
        self.future = future
        self.due = due


Outcomes: TypeAlias = list[list[R] | Exception]
"""One per ticket."""


class Group(Generic[T, R]):
    """`ask` belongs to the event loop; `work` is called by the group's own thread.

    `work` answers one outcome per item, in order, or raises for them all. Whoever waited `answer_within` seconds gets
    StoreAway, whatever the thread is doing: the outcome of what it is doing is then unknown to them.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[list[T]], list[R]],
        *,
        most: int = 1024,
        backlog: int = 10_000,
        backlog_bytes: int = 256 << 20,
        answer_within: float = 1.6,
    ) -> None:
        self._name = name
        self._work = work
        self._most = most
        self._backlog = backlog
        self._backlog_bytes = backlog_bytes
        self._answer_within = answer_within
        self._queue: SimpleQueue[Ticket[T, R] | None] = SimpleQueue()
        self._asked: deque[Ticket[T, R]] = deque()
        """In the order of their due times; those at the head may be answered already."""
        self._ticking = False
        self._before = (1, 0.0)
        """Items of the list before, and seconds that the work on it took."""
        self.waiting = 0
        """Items taken and not answered by the thread."""
        self.waiting_bytes = 0

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread = Thread(target=self._serve, name=self._name, daemon=True)
        self._thread.start()

    async def stop(self, within: float = 5.0) -> None:
        """Finish what was taken, up to `within` seconds: a store that hangs must not hold up the shutdown."""
        self._queue.put(None)
        await self._loop.run_in_executor(None, self._thread.join, within)

    def ask(self, items: Sequence[T], size: int = 0) -> asyncio.Future[list[R]]:
        """The outcomes of these items, in order. `size` in bytes. Raises Full; the future raises StoreAway."""
        if self.waiting + len(items) > self._backlog or self.waiting_bytes + size > self._backlog_bytes:
            raise Full(f"{self.waiting} waiting in the {self._name}")
        self.waiting += len(items)
        self.waiting_bytes += size
        loop = self._loop
        ticket = Ticket[T, R](items, size, loop.create_future(), loop.time() + self._answer_within)
        self._asked.append(ticket)
        if not self._ticking:
            self._ticking = True
            loop.call_later(_TICK, self._tick)
        self._queue.put(ticket)
        return ticket.future

    # --- on the loop ---------------------------------------------------------------------------------------------
    def _tick(self) -> None:
        now = self._loop.time()
        asked = self._asked
        while asked and (asked[0].future.done() or asked[0].due <= now):
            ticket = asked.popleft()
            if not ticket.future.done():
                ticket.future.set_exception(StoreAway("the store did not answer in time: try again"))
        self._ticking = bool(asked)
        if asked:
            self._loop.call_later(_TICK, self._tick)

    def _settle(self, tickets: list[Ticket[T, R]], outcomes: Outcomes[R]) -> None:
        for ticket, outcome in zip(tickets, outcomes, strict=True):
            self.waiting -= len(ticket.items)
            self.waiting_bytes -= ticket.size
            if ticket.future.done():
                continue
            if isinstance(outcome, Exception):
                ticket.future.set_exception(outcome)
            else:
                ticket.future.set_result(outcome)

    # --- in the thread -------------------------------------------------------------------------------------------
    def _serve(self) -> None:
        while (first := self._queue.get()) is not None:
            tickets = self._gather([first])
            items, seconds = self._before
            if _items(tickets) < items // 2:
                time.sleep(min(LINGER_S, seconds))
                tickets = self._gather(tickets)
            begun = time.monotonic()
            outcomes = self._outcomes(tickets)
            self._before = (_items(tickets), time.monotonic() - begun)
            try:
                self._loop.call_soon_threadsafe(self._settle, tickets, outcomes)
            except RuntimeError:  # the loop closed meanwhile: nobody waits any more
                return

    def _gather(self, tickets: list[Ticket[T, R]]) -> list[Ticket[T, R]]:
        """These, and what waits."""
        items = _items(tickets)
        while items < self._most:
            try:
                ticket = self._queue.get_nowait()
            except Empty:
                break
            if ticket is None:
                self._queue.put(None)  # stop after these
                break
            tickets.append(ticket)
            items += len(ticket.items)
        return tickets

    def _outcomes(self, tickets: list[Ticket[T, R]]) -> Outcomes[R]:
        gone = StoreAway("the store did not answer in time: try again")
        wanted = [ticket for ticket in tickets if not ticket.future.done()]
        done = iter(self._together(wanted) if wanted else [])
        asked = {id(ticket) for ticket in wanted}
        return [next(done) if id(ticket) in asked else gone for ticket in tickets]

    def _together(self, tickets: list[Ticket[T, R]]) -> Outcomes[R]:
        try:
            results = self._work([item for ticket in tickets for item in ticket.items])
            return _by_ticket(tickets, results)
        except StoreAway as away:
            return [away for _ in tickets]
        except Exception as fault:
            if len(tickets) == 1:
                log.exception("%s: a request failed", self._name)
                return [fault]
            # One request must not fail the others that it happened to meet.
            return [outcome for ticket in tickets for outcome in self._together([ticket])]


def _items(tickets: list[Ticket[T, R]]) -> int:
    return sum([len(ticket.items) for ticket in tickets])


def _by_ticket(tickets: list[Ticket[T, R]], results: list[R]) -> Outcomes[R]:
    expected = _items(tickets)
    if len(results) != expected:
        raise RuntimeError(f"expected {expected} outcomes, got {len(results)}")
    outcomes: Outcomes[R] = []
    start = 0
    for ticket in tickets:
        outcomes.append(results[start : start + len(ticket.items)])
        start += len(ticket.items)
    return outcomes
