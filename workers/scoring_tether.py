"""What ties a running scoring run to its row: the lease, the progress, and why it must stop."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from enum import Enum, auto

from pipelines.clock import Clock
from pipelines.store.port import StoreAway
from pipelines.store.scoring_port import Held, RunStore
from schemas.scoring_runs import Progress, ScoringClaim

BEAT_S = 2.0
"""How often a run is looked at, unless its lease is short: a cancellation is heard of by then, progress seen by then."""

Beating = Callable[[Callable[[], None]], AbstractContextManager[Callable[[], None]]]
"""Calls a function every so often while its context lasts, and soon when what the context gives is called."""


class Stop(Enum):
    """Why a run must stop."""

    CANCELED = auto()
    LOST = auto()
    """Somebody else may have it by now: nothing is recorded."""
    DRAIN = auto()


class Tether:
    """Of one claim. `report` is called by the run, `beat` by a thread of its own, `drain` by whoever stops the worker."""

    def __init__(self, runs: RunStore, claim: ScoringClaim, lease: float, clock: Clock) -> None:
        self._runs = runs
        self._claim = claim
        self._lease = lease
        self._clock = clock
        self._held_at = clock.monotonic()
        self._stop: Stop | None = None
        self._first: Progress | None = None
        self._lock = threading.Lock()
        self.progress: Progress | None = None
        """As of the last report; None before the first."""
        self.on_part: Callable[[], None] = lambda: None
        """A part got done: the store should know soon, for that is what a run that crashes is judged by."""

    @property
    def stopped(self) -> Stop | None:
        return self._stop

    @property
    def rows(self) -> int:
        """Done since the first report, which tells what earlier attempts left."""
        return 0 if self.progress is None or self._first is None else max(0, self.progress.rows - self._first.rows)

    def report(self, progress: Progress) -> bool:
        before, self.progress = self.progress, progress
        if self._first is None:
            self._first = progress
        if progress.parts > (0 if before is None else before.parts):
            self.on_part()
        return self._stop is None

    def beat(self) -> None:
        """A store that is away for longer than the lease is a lost lease: somebody else may have got through to it."""
        before = self._clock.monotonic()
        try:
            held = self._runs.beat(self._claim, self._lease, self.progress)
        except StoreAway:
            if self._clock.monotonic() - self._held_at >= self._lease:
                self._ask(Stop.LOST)
            return
        match held:
            case Held.OURS:
                self._held_at = before
            case Held.CANCEL:
                self._held_at = before
                self._ask(Stop.CANCELED)
            case Held.LOST:
                self._ask(Stop.LOST)

    def drain(self) -> None:
        self._ask(Stop.DRAIN)

    def _ask(self, why: Stop) -> None:
        """The first reason stands, but for a lost lease, which overrules all."""
        with self._lock:
            if self._stop is None or why is Stop.LOST:
                self._stop = why


def in_a_thread(interval: float) -> Beating:
    """Every `interval` seconds, in a thread that ends with the context."""

    @contextmanager
    def beating(beat: Callable[[], None]) -> Iterator[Callable[[], None]]:
        soon, over = threading.Event(), threading.Event()

        def work() -> None:
            while not over.is_set():
                soon.wait(interval)
                soon.clear()
                if not over.is_set():
                    beat()

        thread = threading.Thread(target=work, name="forebay-scoring-heartbeat", daemon=True)
        thread.start()
        try:
            yield soon.set
        finally:
            over.set()
            soon.set()
            thread.join()

    return beating


def interval_of(lease: float) -> float:
    return min(BEAT_S, lease / 3)
