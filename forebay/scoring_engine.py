"""What a scoring worker of the service runs."""

from forebay.settings import Settings
from pipelines.catalog import Catalog
from pipelines.scoring.faults import BadOrder
from pipelines.scoring.scorer import Report, Scorer
from schemas.scoring_runs import RunSummary, ScoringClaim


def scorer_of(settings: Settings, catalog: Catalog) -> Scorer:
    """The local engine, as the service calls it."""

    def score(claim: ScoringClaim, report: Report) -> RunSummary:
        raise BadOrder(f"run {claim.run_id}: this release has no engine that scores yet")

    return score
