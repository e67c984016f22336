"""A scoring worker whose runs write small files instead of scores, for faults that need real processes: what stands around
the run is the real thing.

A request's `where` says, as JSON, how many `parts` there are, how many `looks` each takes, and which part it `dies_at`.
"""

import json
import os
import signal
import time
from pathlib import Path

from forebay.cli.serve import log_to_stderr, tell_ready
from forebay.serving_scoring import serve_scoring
from forebay.settings import Settings, load
from pipelines.catalog import Catalog
from pipelines.scoring.faults import Canceled
from pipelines.scoring.scorer import Report, Scorer
from schemas.scoring_runs import Progress, RunSummary, ScoringClaim

MODULE = "tests.e2e.scoring_worker"
ROWS = 100
"""Of each part."""
LOG = "log"
LOOK_S = 0.01


def scorer_of(settings: Settings, catalog: Catalog) -> Scorer:
    return score


def score(claim: ScoringClaim, report: Report) -> RunSummary:
    asked = json.loads(claim.request.where or "{}")
    output, parts = Path(claim.request.output), int(asked["parts"])
    output.mkdir(exist_ok=True)
    for part in range(parts):
        if (output / f"{part}").exists():
            continue
        report(_progress(part, parts))
        if asked.get("dies_at") == part:
            os.kill(os.getpid(), signal.SIGKILL)
        for _ in range(asked.get("looks", 1)):
            if not report(_progress(part, parts)):
                raise Canceled("stopped from outside")
            time.sleep(LOOK_S)
        _commit(output, part)
    report(_progress(parts, parts))
    return RunSummary(rows=ROWS * parts, rejected=0, parts=parts, seconds=1.0, manifest=f"_forebay/{claim.run_id}.json")


def _progress(parts: int, of: int) -> Progress:
    return Progress(rows=ROWS * parts, rows_total=ROWS * of, parts=parts, parts_total=of)


def _commit(output: Path, part: int) -> None:
    with (output / LOG).open("a") as log:
        log.write(f"{os.getpid()} {part}\n")
    (output / f"{part}").touch()


if __name__ == "__main__":
    log_to_stderr()
    raise SystemExit(serve_scoring(load(), tell_ready("worker", None), scorer_of))
