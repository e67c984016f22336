"""What a scoring worker of the service runs: the same as `forebay score`."""

import logging

from forebay.scoring import ScorePlan, score
from forebay.settings import Settings
from pipelines.catalog import Catalog
from pipelines.scoring.faults import Canceled
from pipelines.scoring.part import Stopped
from pipelines.scoring.scorer import Report, Scorer
from pipelines.scoring.storage.naming import manifest_told
from schemas.scoring import PartDone, Plan
from schemas.scoring_runs import Progress, RunSummary, ScoringClaim

log = logging.getLogger("forebay.scoring")


def scorer_of(settings: Settings, catalog: Catalog) -> Scorer:
    """The local engine, as the service calls it."""

    def scored(claim: ScoringClaim, report: Report) -> RunSummary:
        try:
            manifest = score(settings, plan_of(claim), Reporting(report), log.info)
        except Stopped:
            raise Canceled(f"run {claim.run_id}: stopped; what is done is kept") from None
        return RunSummary.of(manifest, manifest_told(manifest.order.output, manifest.order.run_id))

    return scored


def plan_of(claim: ScoringClaim) -> ScorePlan:
    asked = claim.request
    return ScorePlan(
        model=claim.model, version=claim.version, input=asked.input, output=asked.output, run_id=claim.run_id,
        where=asked.where, columns=asked.columns, passthrough=asked.passthrough or None, max_rejects=asked.max_rejects,
        skip_corrupt=asked.skip_corrupt, overwrite=asked.overwrite,
    )  # fmt: skip


class Reporting:
    """See `pipelines.scoring.run.Observer`: adds up, and asks whether to go on."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._rows = self._total = self._parts = self._planned = self._rejected = 0

    def planned(self, plan: Plan, rows_done: int, parts_done: int) -> None:
        self._rows, self._total, self._parts, self._planned = rows_done, plan.rows, parts_done, len(plan.parts)
        self._told()

    def progress(self, rows: int, rejected: int) -> bool:
        self._rows += rows
        self._rejected += rejected
        return self._told()

    def part(self, done: PartDone) -> None:
        self._parts += 1
        self._told()

    def _told(self) -> bool:
        return self._report(Progress(self._rows, self._total, self._parts, self._planned, self._rejected))
