"""Between the threads that receive and those that work: what was received and not handed out, and how much may still come."""

import threading
from collections import deque
from collections.abc import Callable, Sequence

from msgspec import Struct

from pipelines.queues.envelopes import Found
from pipelines.sqs.client import MOST

DEMAND_S = 2.0
"""Who has not asked for so long wants nothing: an intake that is stuck uses up no message's receives."""


class Receipt(Struct, frozen=True, gc=False):
    """One receive of one message. A later receive of it makes this one stale."""

    queue: str
    """URL: the job queue, or its dead-letter queue."""
    handle: str
    since: float
    """Monotonic seconds: when it was received."""


class Arrival(Struct, gc=False):
    receipt: Receipt
    found: Found
    size: int
    """Bytes."""
    fresh: float
    """Monotonic seconds: since when it is invisible to others for a whole visibility timeout."""


class Limit(Struct, frozen=True):
    """Of what waits here; the last receives that come in may go beyond the bytes."""

    items: int
    size: int
    """Bytes."""


class Inbox:
    """Thread-safe. Room is reserved before a receive, and never more than the intake asked for last: no credit, no receive.
    While receives come back empty, one at a time goes on; when they bring something, more do."""

    def __init__(self, limit: Limit, receivers: int, monotonic: Callable[[], float]) -> None:
        self._limit = limit
        self._receivers = receivers
        self._monotonic = monotonic
        self._waiting: deque[Arrival] = deque()
        self._bytes = 0
        self._reserved = 0
        self._receiving = 0
        self._eager = 1
        self._wanted = 0
        self._asked = float("-inf")
        self._changed = threading.Condition()

    def __len__(self) -> int:
        return len(self._waiting)

    # --- those that work ---

    def take(self, most: int, older: float) -> list[Arrival]:
        """At most so many, without those that are not fresh since `older`: they are somebody else's soon."""
        with self._changed:
            taken = [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]
            self._bytes -= sum([arrival.size for arrival in taken])
            usable = [arrival for arrival in taken if arrival.fresh > older]
            self._wanted, self._asked = most - len(usable), self._monotonic()
            self._changed.notify_all()
            return usable

    @property
    def asked(self) -> float:
        """Monotonic seconds: when somebody asked last."""
        return self._asked

    def demanded(self, now: float) -> bool:
        """Whether more is wanted, lately, than waits here."""
        return now - self._asked <= DEMAND_S and self._wanted > len(self._waiting)

    # --- those that receive ---

    def reserve(self, timeout: float) -> int:
        """Room for one receive; 0: there is none within `timeout` seconds. It is given back by `put`."""
        with self._changed:
            if not self._changed.wait_for(self._roomy, timeout):
                return 0
            room = min(MOST, self._room())
            self._reserved += room
            self._receiving += 1
            return room

    def put(self, arrivals: Sequence[Arrival], reserved: int) -> None:
        """What a receive brought, and the room that it had."""
        with self._changed:
            self._reserved -= reserved
            self._receiving -= 1
            self._eager = min(self._receivers, 2 * self._eager) if arrivals else 1
            self._add(arrivals)

    def add(self, arrivals: Sequence[Arrival]) -> None:
        """What came without a reservation."""
        with self._changed:
            self._add(arrivals)

    def older(self, than: float) -> list[Arrival]:
        """Those that wait and are fresh since before `than`."""
        with self._changed:
            return [arrival for arrival in self._waiting if arrival.fresh < than]

    def drop(self, unwanted: Callable[[Arrival], bool]) -> list[Arrival]:
        with self._changed:
            dropped = [arrival for arrival in self._waiting if unwanted(arrival)]
            if dropped:
                self._waiting = deque(arrival for arrival in self._waiting if not unwanted(arrival))
                self._bytes = sum([arrival.size for arrival in self._waiting])
                self._changed.notify_all()
            return dropped

    def wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _add(self, arrivals: Sequence[Arrival]) -> None:
        self._waiting.extend(arrivals)
        self._bytes += sum([arrival.size for arrival in arrivals])
        self._changed.notify_all()

    def _roomy(self) -> bool:
        """A full receive fits, or nothing else is under way."""
        room = self._room()
        idle = not self._waiting and not self._reserved
        return self._receiving < self._eager and (room >= MOST or (room > 0 and idle))

    def _room(self) -> int:
        if self._monotonic() - self._asked > DEMAND_S or self._bytes >= self._limit.size:
            return 0
        return min(self._limit.items, self._wanted) - len(self._waiting) - self._reserved
