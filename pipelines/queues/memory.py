"""A broker in memory, as mean as a real one may be: at least once, out of order, with visibility timeouts.

For seeded fault runs and for measuring the path alone. Both sides in one object: `Outlet` and `Queue`.
"""

import random
from collections import deque
from collections.abc import Callable, Sequence

from msgspec import Struct

from pipelines.ports import Delivery, Message
from schemas.verdicts import Release, Retry, Verdict


class Faults(Struct, frozen=True):
    """Chances, each from 0 to 1."""

    refuse: float = 0.0
    """A send is not confirmed, and was not made."""
    unconfirmed: float = 0.0
    """A send is made, and its confirmation is lost."""
    lose: float = 0.0
    """A confirmed message is never delivered."""
    duplicate: float = 0.0
    reorder: float = 0.0
    lose_settle: float = 0.0
    """A settle does not arrive: the message is delivered again."""


NO_FAULTS = Faults()
_DELAYED = (Retry, Release)


class MemoryQueue:
    def __init__(
        self, now: Callable[[], float], chance: random.Random, faults: Faults = NO_FAULTS, visibility: float = 30.0
    ) -> None:
        self._now = now
        self._chance = chance
        self._faults = faults
        self._visibility = visibility
        self._ready: deque[Message] = deque()
        self._delayed: list[tuple[float, Message]] = []
        self._out: dict[int, tuple[float, Message]] = {}
        self._receipts = 0

    def __len__(self) -> int:
        return len(self._ready) + len(self._delayed) + len(self._out)

    def send(self, messages: Sequence[Message], delay: float = 0.0) -> list[bool]:
        return [self._send(message, delay) for message in messages]

    def lost(self) -> list[str]:
        return []

    def receive(self, most: int) -> list[Delivery]:
        self._return_late()
        if self._happens(self._faults.reorder):
            self._chance.shuffle(self._ready)
        until = self._now() + self._visibility
        messages = [self._ready.popleft() for _ in range(min(most, len(self._ready)))]
        deliveries = [Delivery(receipt, message) for receipt, message in enumerate(messages, self._receipts + 1)]
        self._out.update(
            {delivery.receipt: (until, message) for delivery, message in zip(deliveries, messages, strict=True)}
        )
        self._receipts += len(messages)
        return deliveries

    def extend(self, deliveries: Sequence[Delivery]) -> list[Delivery]:
        until = self._now() + self._visibility
        held = [delivery for delivery in deliveries if delivery.receipt in self._out]
        for delivery in held:
            self._out[delivery.receipt] = (until, self._out[delivery.receipt][1])
        return held

    def settle(self, settled: Sequence[tuple[Delivery, Verdict]]) -> None:
        lossy = self._faults.lose_settle > 0
        for delivery, verdict in settled:
            if lossy and self._happens(self._faults.lose_settle):
                continue
            out = self._out.pop(delivery.receipt, None)
            # A delay is kept by the broker here; the sweeper would send it again otherwise.
            if out is not None and isinstance(verdict, _DELAYED) and verdict.delay > 0:
                self._delayed.append((self._now() + verdict.delay, out[1]))

    def _send(self, message: Message, delay: float) -> bool:
        if self._happens(self._faults.refuse):
            return False
        copies = 0 if self._happens(self._faults.lose) else 2 if self._happens(self._faults.duplicate) else 1
        for _ in range(copies):
            if delay > 0:
                self._delayed.append((self._now() + delay, message))
            else:
                self._ready.append(message)
        return not self._happens(self._faults.unconfirmed)

    def _return_late(self) -> None:
        now = self._now()
        if self._delayed:
            self._ready.extend(message for at, message in self._delayed if at <= now)
            self._delayed = [(at, message) for at, message in self._delayed if at > now]
        late = [receipt for receipt, (until, _) in list(self._out.items()) if until <= now]
        for receipt in late:
            self._ready.append(self._out.pop(receipt)[1])

    def _happens(self, probability: float) -> bool:
        return probability > 0 and self._chance.random() < probability
