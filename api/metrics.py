"""What the API counts, for GET /metrics."""

from collections.abc import Callable
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from schemas.jobs import Accepted, Submission, SubmitOutcome

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
        self._reads = Counter(
            "forebay_api_store_reads",
            "Reads of results from the store, one for all asked for together",
            registry=registry,
        )
        results = Counter("forebay_api_results_read", "Results looked up, by where", ["source"], registry=registry)
        self._results = {source: results.labels(source) for source in ("redis", "store")}
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

    def read(self, source: Literal["redis", "store"], results: int, reads: int = 0) -> None:
        self._results[source].inc(results)
        if reads:
            self._reads.inc(reads)

    def watch(self, waiting: Callable[[], float], polls: Callable[[], float]) -> None:
        self._waiting.set_function(waiting)
        self._polls.set_function(polls)


def _outcome(outcome: SubmitOutcome) -> str:
    if isinstance(outcome, Accepted):
        return "accepted" if outcome.created else "replayed"
    return "conflict"
