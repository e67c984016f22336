"""The depth of the queue as the store knows it: gauges for GET /metrics, and a line for readiness."""

import threading
from collections.abc import Callable, Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from pipelines.store.port import Counts, Store, StoreAway
from schemas.states import OPEN, State

_FRESH = 5.0
"""Seconds that the counts of one scrape serve the next."""
_FRESH_FOR_READINESS = 15.0
"""Probes come often, and counting a long backlog takes a moment."""
_SHARE = 0.05
"""Of the time, at most this is spent on counting: millions of rows take seconds, so they are counted more seldom."""
_STALLED = 60.0
"""Seconds that a job waits before readiness tells that nothing of its model runs."""


class Depth:
    """Counts that serve for a while. Any thread; while one of them reads, the others are served the counts before."""

    def __init__(self, read: Callable[[], list[Counts]], fresh: float, monotonic: Callable[[], float]) -> None:
        self._read = read
        self._fresh = fresh
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._due = float("-inf")
        self._counts: list[Counts] | None = None

    def __call__(self) -> list[Counts] | None:
        """None: the store is away, or was not counted yet."""
        if self._lock.acquire(blocking=False):
            try:
                if self._monotonic() >= self._due:
                    self._counts = self._again()
            finally:
                self._lock.release()
        return self._counts

    def _again(self) -> list[Counts] | None:
        begun = self._monotonic()
        try:
            return self._read()
        except StoreAway:
            return None
        finally:
            ended = self._monotonic()
            self._due = ended + max(self._fresh, (ended - begun) / _SHARE)


class StoreDepth(Collector):
    """Gauges computed when they are scraped. Called by the threads that scrape."""

    def __init__(self, store: Store, clock: Callable[[], float], monotonic: Callable[[], float]) -> None:
        self._depth = Depth(store.counts, _FRESH, monotonic)
        self._clock = clock

    def collect(self) -> Iterator[GaugeMetricFamily]:
        counts = self._depth()
        up = GaugeMetricFamily("forebay_store_up", "Whether the store answers")
        up.add_metric([], 0.0 if counts is None else 1.0)
        yield up
        jobs = GaugeMetricFamily("forebay_jobs", "Rows in the store", labels=["model", "version", "state"])
        oldest = GaugeMetricFamily(
            "forebay_oldest_open_seconds",
            "Age of the oldest job that is queued or running",
            labels=["model", "version", "state"],
        )
        for count in counts or ():
            labels = [count.model, count.version, str(State(count.state))]
            jobs.add_metric(labels, count.count)
            if count.state in OPEN:
                oldest.add_metric(labels, max(0.0, self._clock() - count.oldest_at))
        yield jobs
        yield oldest

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Empty: registering must not ask the store."""
        return iter(())


class Stalled:
    """Whether jobs wait that nobody seems to serve. Asks the store."""

    def __init__(self, store: Store, clock: Callable[[], float], monotonic: Callable[[], float]) -> None:
        self._store = store
        self._depth = Depth(lambda: store.counts(open_only=True), _FRESH_FOR_READINESS, monotonic)
        self._clock = clock

    def __call__(self) -> str | None:
        """One line while jobs wait long and none of their model version runs."""
        counts = self._depth() or []
        running = {(count.model, count.version) for count in counts if count.state is State.RUNNING}
        waiting = [
            (self._clock() - count.oldest_at, count)
            for count in counts
            if count.state is State.QUEUED and (count.model, count.version) not in running
        ]
        age, oldest = max(waiting, key=lambda pair: pair[0], default=(0.0, None))
        if oldest is None or age < _STALLED or oldest.model in self._store.paused():
            return None
        what = f"{oldest.model} version {oldest.version}: {oldest.count} jobs queued, the oldest for {age:.0f} s, none running"
        return f"{what}; is a worker serving it?"
