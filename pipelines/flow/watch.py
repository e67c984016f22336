"""The watch: which call of a model's own code a thread is in, and since when. The watchdog goes by it.

A model's code runs on two threads: pre-processing at intake, and everything else on the device's thread. Python cannot
stop a call that never ends, so that the process has to go; what the call was about gets its verdict before.
"""

import sys
import threading
from collections.abc import Callable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from pipelines.clock import Clock
from pipelines.flow.item import Item
from pipelines.flow.judging import Judge
from pipelines.flow.outbox import Entry
from schemas.reasons import Reason
from schemas.verdicts import Release

PREPARING = "preprocess or cost"
PREDICTING = "the model"
FINISHING = "the model or postprocess"


class Running(Struct, frozen=True):
    """One call of a model's code."""

    items: Sequence[Item]
    """What the call is about: at least one, all of one model version."""
    what: str
    since: float
    """Monotonic."""
    thread: int
    where: str = ""
    """The Python function it was found in."""
    rest: Sequence[Item] = ()
    """What its thread has in hand besides."""

    def __str__(self) -> str:
        served = self.items[0].served
        return f"{self.what} of model {served.name} version {served.version}{self.where}"


class Watch:
    """Of one thread that calls, and the watchdog's that looks."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._running: Running | None = None
        self.hand: Sequence[Item] = ()
        """What this thread has taken and not handed over: where a call hangs, the rest of it goes back."""
        self.given_up = False

    def begin(self, items: Sequence[Item], what: str) -> None:
        """The model's code is called now."""
        self._running = Running(items, what, self._clock.monotonic(), threading.get_ident())

    def goes_on(self, what: str) -> None:
        """The same limit covers another part of it."""
        if self._running is not None:
            self._running = replace(self._running, what=what)

    def answered(self, hand_over: Callable[[], None]) -> bool:
        """Out of the model's code again: hand over what came of it. False when it was given up in the meantime, and its
        items are somebody else's."""
        with self._lock:
            self._running = None
            if self.given_up:
                return False
            hand_over()
            return True

    def give_up(self) -> Running | None:
        """A call that takes longer than limits.timeout_s: whatever it still answers is ignored from now on."""
        with self._lock:
            running = self._running
            if running is None or self.given_up:
                return None
            if self._clock.monotonic() - running.since <= running.items[0].served.limits.timeout_s:
                return None
            self.given_up = True
            called = {item.order for item in running.items}
            rest = [item for item in self.hand if item.order not in called]
            return replace(running, where=_where(running.thread), rest=rest)


def timed_out(running: Running, judge: Judge) -> list[Entry]:
    """The verdicts of a call that hangs: an item alone is charged, company goes back to run alone, the rest as it came."""
    back = [Entry(item.delivery, Release()) for item in running.rest]
    if len(running.items) > 1:
        return [*back, *(Entry(item.delivery, Release(suspect=True)) for item in running.items)]
    (item,) = running.items
    limits = item.served.limits
    error = (
        f"{running.what} ran longer than limits.timeout_s ({limits.timeout_s:g} s) on this item alone{running.where}"
    )
    return [*back, Entry(item.delivery, judge.failure(item.claim, limits, Reason.TIMEOUT, error))]


def _where(thread: int) -> str:
    """The innermost function of Python's; without its line, so that one culprit's dead letters make one group."""
    frame = sys._current_frames().get(thread)  # CPython's documented way to see another thread's stack
    if frame is None:
        return ""
    return f", in {frame.f_code.co_name} ({frame.f_code.co_filename.rsplit('/', 1)[-1]})"
