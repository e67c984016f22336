"""A worker's metrics: by model and version, never by job. Seconds and `_total`."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from pipelines.flow.breaker import Moved
from schemas.jobs import Claim
from schemas.verdicts import Dead, Done, Release, Retry, Verdict

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_WAITS = (*_SECONDS, 300, 1800, 7200, 43_200)
"""A backlog may take a night."""
_SIZES = tuple(2**n for n in range(13))
_OF_MODEL = ("model", "version")


class PrometheusObserver:
    """See `pipelines.flow.observer.Observer`."""

    def __init__(self, registry: CollectorRegistry, tell: Callable[[str], None], now: Callable[[], float]) -> None:
        """`now`: epoch seconds."""
        self._now = now
        self._tell = tell
        self._claims = Counter("forebay_claims_total", "Claims.", _OF_MODEL, registry=registry)
        self._sizes = Histogram("forebay_batch_size", "Items per batch.", _OF_MODEL, buckets=_SIZES, registry=registry)
        self._queued = Histogram(
            "forebay_queue_seconds", "Time from submit (or replay) to the first claim, per job.", _OF_MODEL, buckets=_WAITS,
            registry=registry,
        )  # fmt: skip
        self._compute = Histogram(
            "forebay_compute_seconds", "Time in the model, per batch.", _OF_MODEL, buckets=_SECONDS, registry=registry
        )
        self._verdicts = Counter(
            "forebay_verdicts_total", "Recorded verdicts.", (*_OF_MODEL, "verdict", "reason"), registry=registry
        )
        self._refused = Counter(
            "forebay_refused_writes_total", "Verdicts for rows that were somebody else's by then.", registry=registry
        )
        self._troubles = Counter("forebay_troubles_total", "Times something outside was away.", registry=registry)
        self._circuits = Gauge(
            "forebay_circuit_open", "1 while the breaker pauses the model, until something is answered.", _OF_MODEL,
            registry=registry,
        )  # fmt: skip
        self._seen = Gauge("forebay_worker_up", "1 while the worker serves.", registry=registry)
        self._seen.set(1)

    def claimed(self, claims: Sequence[Claim]) -> None:
        for (model, version), alike in _by_model(claims).items():
            self._claims.labels(model, version).inc(len(alike))
            self._circuits.labels(model, version)  # shown as 0 until it opens
            queued = self._queued.labels(model, version)
            for claim in alike:
                if not (claim.failures or claim.suspect or claim.lost):
                    queued.observe(claim.waited)

    def batch(self, model: str, version: str, size: int, seconds: float) -> None:
        self._sizes.labels(model, version).observe(size)
        self._compute.labels(model, version).observe(seconds)

    def recorded(self, verdicts: Sequence[tuple[Claim, Verdict]], refused: int) -> None:
        counts: dict[tuple[str, str, str, str], int] = {}
        for claim, verdict in verdicts:
            key = (claim.model, claim.version, *_named(verdict))
            counts[key] = counts.get(key, 0) + 1
        for labels, count in counts.items():
            self._verdicts.labels(*labels).inc(count)
        if refused:
            self._refused.inc(refused)

    def circuit(self, moved: Moved) -> None:
        self._circuits.labels(moved.model, moved.version).set(moved.open)
        which = f"model {moved.model} version {moved.version}"
        if moved.open:
            until = datetime.fromtimestamp(self._now() + moved.pause, UTC)
            pause = f"paused for {moved.pause:g} s, until {until:%Y-%m-%dT%H:%M:%SZ}"
            self._tell(f"{which} fails everything: circuit open, {pause}; the last failure: {moved.why}")
        else:
            self._tell(f"{which} answers again: circuit closed")

    def trouble(self, what: str) -> None:
        self._troubles.inc()
        self._tell(what)


def _by_model(claims: Sequence[Claim]) -> dict[tuple[str, str], list[Claim]]:
    found: dict[tuple[str, str], list[Claim]] = {}
    for claim in claims:
        found.setdefault((claim.model, claim.version), []).append(claim)
    return found


def _named(verdict: Verdict) -> tuple[str, str]:
    match verdict:
        case Done():
            return "done", ""
        case Retry(reason):
            return "retry", reason
        case Dead(reason):
            return "dead", reason
        case Release():
            return "release", ""
