"""Metrics of a scoring worker: by model and version, never by run."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge

from pipelines.clock import Clock
from schemas.scoring_runs import ScoringClaim
from schemas.states import State

_OF_MODEL = ("model", "version")
Did = Callable[[int], None]
"""Told now and then how many rows this attempt has done so far."""


class ScoringObserver(Protocol):
    def running(self, claim: ScoringClaim) -> AbstractContextManager[Did]:
        """While a claim is worked on."""
        ...

    def ended(self, model: str, version: str, state: State) -> None:
        """Recorded: terminal."""
        ...

    def lost(self, claim: ScoringClaim) -> None:
        """What it came to is not recorded: the run is somebody else's."""
        ...

    def trouble(self, what: str) -> None:
        """Something outside is away: one line."""
        ...


class PrometheusScoring:
    """See `ScoringObserver`."""

    def __init__(self, registry: CollectorRegistry, tell: Callable[[str], None], clock: Clock) -> None:
        self._clock = clock
        self._tell = tell
        self._runs = Counter(
            "forebay_scoring_runs_total", "Runs that ended here.", (*_OF_MODEL, "state"), registry=registry
        )
        self._running = Gauge("forebay_scoring_running", "Runs that are worked on.", _OF_MODEL, registry=registry)
        self._rows = Counter("forebay_scoring_rows_total", "Rows done by this worker.", _OF_MODEL, registry=registry)
        self._rate = Gauge(
            "forebay_scoring_rows_per_second", "Of the run that is worked on, since this worker took it up.", _OF_MODEL,
            registry=registry,
        )  # fmt: skip
        self._lost = Counter(
            "forebay_scoring_lost_leases_total", "Attempts whose run was somebody else's by then.", _OF_MODEL,
            registry=registry,
        )  # fmt: skip
        self._troubles = Counter(
            "forebay_scoring_troubles_total", "Times something outside was away.", registry=registry
        )

    @contextmanager
    def running(self, claim: ScoringClaim) -> Iterator[Did]:
        running, rate = (gauge.labels(claim.model, claim.version) for gauge in (self._running, self._rate))
        rows = self._rows.labels(claim.model, claim.version)
        began, counted = self._clock.monotonic(), 0

        def did(so_far: int) -> None:
            nonlocal counted
            rows.inc(max(0, so_far - counted))
            counted = max(counted, so_far)
            rate.set(so_far / max(self._clock.monotonic() - began, 1e-3))

        running.inc()
        try:
            yield did
        finally:
            running.dec()
            rate.set(0)

    def ended(self, model: str, version: str, state: State) -> None:
        self._runs.labels(model, version, str(state)).inc()

    def lost(self, claim: ScoringClaim) -> None:
        self._lost.labels(claim.model, claim.version).inc()

    def trouble(self, what: str) -> None:
        self._troubles.inc()
        self._tell(what)
