"""The wiring of `forebay worker --scoring`."""

import logging
from collections.abc import Callable
from contextlib import ExitStack

from msgspec import Struct
from prometheus_client import CollectorRegistry

from forebay.catalogs import open_catalog
from forebay.redis_parts import started
from forebay.settings import BadSettings, Settings
from forebay.stores import notices_of, store_of
from pipelines.catalog import Catalog
from pipelines.clock import SystemClock
from pipelines.scoring.locations import Locations
from pipelines.scoring.scorer import Scorer
from pipelines.store.scoring_runs import ScoringRuns
from workers.scoring_lane import Lane, ScoringWorker
from workers.scoring_metrics import PrometheusScoring
from workers.scoring_tether import in_a_thread, interval_of

log = logging.getLogger("forebay.scoring")

MakeScorer = Callable[[Settings, Catalog], Scorer]


class ScoringServing(Struct, frozen=True):
    worker: ScoringWorker
    registry: CollectorRegistry
    models: list[str]
    unready: Callable[[], list[str]]
    """What is away right now, a line each."""
    degraded: Callable[[], list[str]]
    """The same of what stops nothing."""
    close: Callable[[], None]


def scoring_worker_of(settings: Settings, make_scorer: MakeScorer) -> ScoringServing:
    """Raises BadSettings, BadModels, StoreAway."""
    catalog = open_catalog(settings)
    models = sorted({version.name for version in catalog.in_pool(settings.pool)})
    if not models:
        raise BadSettings(f"pool {settings.pool}: no model of it is in {settings.models}")
    if not settings.scoring_roots:
        raise BadSettings(
            "scoring_roots: expected where runs may read and write, the same as the API's (FOREBAY_SCORING_ROOTS)"
        )
    with ExitStack() as stack:
        store = store_of(settings)
        stack.callback(store.close)
        redis = started(settings, store, stack)
        notices = notices_of(settings, redis)
        stack.callback(notices.close)
        registry = CollectorRegistry()
        lane = Lane(
            runs=ScoringRuns(store.db),
            scorer=make_scorer(settings, catalog),
            admitted=Locations(settings.scoring_roots).admitted,
            models=models,
            notices=notices,
            observer=PrometheusScoring(registry, log.warning, SystemClock()),
            clock=SystemClock(),
            beating=in_a_thread(interval_of(settings.lease)),
            lease=settings.lease,
        )
        worker = ScoringWorker(lane, settings.grace)

        def unready() -> list[str]:
            return [] if worker.away is None else [worker.away]

        def degraded() -> list[str]:
            return [redis.health.fault] if redis is not None and redis.health.fault else []

        return ScoringServing(worker, registry, models, unready, degraded, stack.pop_all().close)
