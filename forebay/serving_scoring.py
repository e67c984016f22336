"""Serving a scoring worker under signals."""

import logging

from forebay.scoring_wiring import MakeScorer, scoring_worker_of
from forebay.serving import Ready, serve_metrics, settle_process
from forebay.settings import Settings
from forebay.signals import run_until_signal

log = logging.getLogger("forebay.scoring")


def serve_scoring(settings: Settings, ready: Ready, make_scorer: MakeScorer) -> int:
    serving = scoring_worker_of(settings, make_scorer)
    where = f"scoring, pool {settings.pool}: {', '.join(serving.models)}"
    if settings.metrics_port is not None:
        port = serve_metrics(settings, serving.registry, serving.unready, serving.degraded)
        where += f"; metrics on http://{settings.host}:{port}/metrics"
    settle_process()

    def serve() -> int:
        ready(where)
        if not serving.worker.run():
            log.warning("the run did not stop within the grace: it is taken up when its lease ends")
        return 0

    try:
        return run_until_signal(serve, serving.worker.stop)
    finally:
        serving.close()
