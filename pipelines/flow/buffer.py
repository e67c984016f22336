"""The waiting room between intake and device: thread-safe around the packer, and where `max_delay_ms` is kept."""

import threading
from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct

from pipelines.clock import Clock
from pipelines.flow.item import Item
from pipelines.flow.packing import Packer

DEADLINE_MARGIN_S = 0.1
"""A batch goes this long before a deadline: it has to be started by then."""


class Batch(Struct, frozen=True):
    items: list[Item]
    alone: bool
    """A suspect: nothing else is started until its verdict is recorded."""


class Wait(Struct, frozen=True):
    """Nothing may go yet."""

    seconds: float | None
    """When to look again at the latest; None: when something arrives."""
    for_quiet: bool = False
    """A suspect is next: it waits until every earlier verdict is recorded."""


class Buffer:
    def __init__(self, clock: Clock, ceiling: Callable[[Item], int | None] = lambda item: None) -> None:
        self._clock = clock
        self._ceiling = ceiling
        self._packer = Packer()
        self._changed = threading.Condition()
        self.arrivals = 0

    def __len__(self) -> int:
        return len(self._packer)

    def put(self, items: Sequence[Item]) -> None:
        with self._changed:
            self._packer.add(items)
            self.arrivals += 1
            self._changed.notify_all()

    def take(self, quiet: bool) -> Batch | Wait:
        """The next batch. `quiet`: nothing is running and every verdict is recorded."""
        with self._changed:
            soonest: float | None = None
            for lead in self._packer.leads():
                if lead.claim.suspect:
                    return Batch(self._packer.pop(lead), alone=True) if quiet else Wait(soonest, for_quiet=True)
                ceiling = self._ceiling(lead)
                left = self._delay_left(lead, ceiling)
                if left <= 0:
                    return Batch(self._packer.pop(lead, ceiling), alone=False)
                soonest = left if soonest is None else min(soonest, left)
            return Wait(soonest)

    def swap(self, batch: Batch, first: Callable[[Item], Any]) -> Batch:
        """Instead of this batch, which was taken: the one item of its model version that is first in this order, alone. The
        batch's others wait on."""
        with self._changed:
            served = batch.items[0].served
            waiting = [*batch.items, *self._packer.drop(lambda item: item.served is served)]
            waiting.sort(key=lambda item: item.order)
            chosen = min(waiting, key=first)
            self._packer.add([item for item in waiting if item is not chosen])
            return Batch([chosen], alone=chosen.claim.suspect)

    def drop(self, unwanted: Callable[[Item], bool]) -> list[Item]:
        with self._changed:
            return self._packer.drop(unwanted)

    def wait(self, seen: int, timeout: float) -> None:
        """Until more than `seen` arrivals were counted (see `arrivals`), so that none is missed in between."""
        with self._changed:
            if self.arrivals == seen:
                self._changed.wait(timeout)

    def wake(self) -> None:
        with self._changed:
            self.arrivals += 1
            self._changed.notify_all()

    def _delay_left(self, lead: Item, ceiling: int | None) -> float:
        """How long the batch of this lead still waits for more: until the oldest waited for `max_delay_ms`, but not past a
        deadline, and not when it is full."""
        delay = lead.served.batching.max_delay_ms / 1000
        if delay <= 0 or self._packer.is_full(lead, ceiling):
            return 0.0
        return min(_goes_by(item, delay) for item in self._packer.company(lead)) - self._clock.monotonic()


def _goes_by(item: Item, delay: float) -> float:
    left = item.claim.time_left
    return item.arrived + (delay if left is None else min(delay, left - DEADLINE_MARGIN_S))
