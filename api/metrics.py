"""GET /metrics: what the API counts, and the depth of the queue as the store knows it."""

import threading
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from pipelines.store.port import Counts, Store, StoreAway
from schemas.jobs import Accepted, Submission, SubmitOutcome
from schemas.states import OPEN, State

_FRESH = 5.0
"""Seconds that the counts of one scrape serve the next."""
_FRESH_FOR_READINESS = 15.0
"""Probes come often, and counting a long backlog takes a moment."""
_STALLED = 60.0
"""Seconds that a job waits before readiness tells that nothing of its model runs."""
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048)


class Metrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._answers = Counter("forebay_api_requests", "Requests answered", ["route", "status"], registry=registry)
        self._submissions = Counter(
            "forebay_api_submissions",
            "Submissions by what became of them: accepted, replayed, conflict",
            ["model", "version", "outcome"],
            registry=registry,
        )
        self._commit_seconds = Histogram(
            "forebay_api_commit_seconds", "Time of one group commit", buckets=_SECONDS, registry=registry
        )
        self._commit_rows = Histogram(
            "forebay_api_commit_rows", "Submissions in one group commit", buckets=_ROWS, registry=registry
        )
        self._waiting = Gauge("forebay_api_waiting", "Submissions waiting for their commit", registry=registry)
        self._polls = Gauge("forebay_api_long_polls", "Long polls held", registry=registry)
        # `labels()` costs more than the count itself.
        self._answer_children: dict[tuple[str, int], Counter] = {}
        self._submission_children: dict[tuple[str, str, str], Counter] = {}

    def answered(self, route: str, status: int) -> None:
        child = self._answer_children.get((route, status))
        if child is None:
            child = self._answer_children[route, status] = self._answers.labels(route, str(status))
        child.inc()

    def submitted(self, submission: Submission, outcome: SubmitOutcome) -> None:
        label = (submission.model, submission.version, _outcome(outcome))
        child = self._submission_children.get(label)
        if child is None:
            child = self._submission_children[label] = self._submissions.labels(*label)
        child.inc()

    def committed(self, rows: int, seconds: float) -> None:
        self._commit_rows.observe(rows)
        self._commit_seconds.observe(seconds)

    def watch(self, waiting: Callable[[], float], polls: Callable[[], float]) -> None:
        self._waiting.set_function(waiting)
        self._polls.set_function(polls)


def _outcome(outcome: SubmitOutcome) -> str:
    if isinstance(outcome, Accepted):
        return "accepted" if outcome.created else "replayed"
    return "conflict"


class StoreDepth(Collector):
    """Gauges computed when they are scraped. Called by the threads that scrape."""

    def __init__(self, store: Store, clock: Callable[[], float], monotonic: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._read_at = float("-inf")
        self._counts: list[Counts] | None = None

    def collect(self) -> Iterator[GaugeMetricFamily]:
        counts = self._fresh(_FRESH)
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

    def stalled(self) -> str | None:
        """One line while jobs wait long and none of their model version runs: nobody seems to serve it."""
        counts = self._fresh(_FRESH_FOR_READINESS) or []
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

    def _fresh(self, seconds: float) -> list[Counts] | None:
        with self._lock:
            if self._monotonic() - self._read_at >= seconds:
                try:
                    self._counts = self._store.counts()
                except StoreAway:
                    self._counts = None
                self._read_at = self._monotonic()
            return self._counts
