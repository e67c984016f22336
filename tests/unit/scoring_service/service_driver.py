"""A scoring worker over a real store whose clock the test moves, with a run that does as the test says."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import CollectorRegistry

from pipelines.scoring.faults import Canceled
from pipelines.scoring.locations import Locations
from pipelines.scoring.scorer import Report
from pipelines.store.port import StoreAway
from pipelines.store.scoring_port import RunAccepted
from pipelines.store.scoring_runs import ScoringRuns
from pipelines.store.sql import SqlStore
from schemas.scoring_runs import Progress, RunSubmission, RunSummary, RunView, ScoringClaim, ScoringRequest
from workers.scoring_lane import Lane, ScoringWorker
from workers.scoring_metrics import PrometheusScoring

LEASE = 30.0
SUMMARY = RunSummary(rows=9, rejected=1, parts=2, seconds=1.5, manifest="_forebay/a.json")


class Notices:
    def __init__(self) -> None:
        self.told: list[str] = []
        self.wake: Callable[[], None] = lambda: None

    def work(self) -> None:
        self.wake()

    def ended(self, ids: Sequence[str]) -> None:
        self.told += ids

    def listen(self, on_work: Callable[[], None] | None = None, on_ended: Any = None) -> Callable[[], None]:
        assert on_work is not None
        self.wake = on_work
        return lambda: None


class Time:
    at = 0.0

    def monotonic(self) -> float:
        return self.at


class Runs(ScoringRuns):
    """`away`: so many calls of the worker's find no store."""

    away = 0.0

    def beat(self, *given: Any) -> Any:
        self._answer()
        return super().beat(*given)

    def end(self, *given: Any) -> Any:
        self._answer()
        return super().end(*given)

    def claim(self, *given: Any) -> Any:
        self._answer()
        return super().claim(*given)

    def _answer(self) -> None:
        if self.away > 0:
            self.away -= 1
            raise StoreAway("store fake: refused: start it")


@dataclass
class Stage:
    store: SqlStore
    root: str
    time: Time = field(default_factory=Time)
    notices: Notices = field(default_factory=Notices)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    score: Callable[[ScoringClaim, Report], RunSummary] = lambda claim, report: SUMMARY
    """What the run does."""
    told: list[str] = field(default_factory=list)
    attempts: list[ScoringClaim] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.runs = Runs(self.store.db)
        self.beat: Callable[[], None] = lambda: None
        """Of the run that is at work."""
        self.worker = self.new_worker()

    def new_worker(self, grace: float = 10.0, **changes: Any) -> ScoringWorker:
        given: dict[str, Any] = {
            "runs": self.runs, "scorer": self._score, "admitted": Locations([self.root]).admitted, "models": ["m"],
            "notices": self.notices, "observer": PrometheusScoring(CollectorRegistry(), self.told.append, self.time),
            "clock": self.time, "beating": self._beating, "lease": LEASE,
        }  # fmt: skip
        return ScoringWorker(Lane(**(given | changes)), grace)

    def submit(self, run_id: str = "", **asked: Any) -> str:
        named = run_id or f"run-{next(self.numbers)}"
        request = ScoringRequest(**({"model": "m", "input": f"{self.root}/in", "output": f"{self.root}/out"} | asked))
        assert isinstance(self.runs.submit(RunSubmission(named, "default", "1", request), 100), RunAccepted)
        return named

    def view(self, run_id: str) -> RunView:
        return self.runs.read("default", [run_id])[run_id]

    def pass_time(self, seconds: float) -> None:
        self.time.at += seconds
        self.store.db.skew += seconds

    def _score(self, claim: ScoringClaim, report: Report) -> RunSummary:
        self.attempts.append(claim)
        return self.score(claim, report)

    @contextmanager
    def _beating(self, beat: Callable[[], None]) -> Iterator[Callable[[], None]]:
        self.beat = beat
        yield lambda: self.told.append("part")


def obey(report: Report, progress: Progress | None = None) -> None:
    """As a run does between two batches."""
    if not report(progress or Progress()):
        raise Canceled("stopped from outside")
