"""Wiring: concrete classes for the ports, by the settings. Nothing here acts on its own."""

import logging
import random
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING

from msgspec import Struct
from prometheus_client import CollectorRegistry

from forebay import queues, version
from forebay.brokers import Broker, BrokerOutlet, Wanted
from forebay.catalogs import open_catalog
from forebay.claim_check import kept_of, large_of
from forebay.redis_parts import started
from forebay.settings import BadSettings, Settings
from forebay.stores import notices_of, store_of
from pipelines.admission import Admission
from pipelines.admission.direct import Adopter
from pipelines.catalog import Catalog
from pipelines.clock import SystemClock
from pipelines.flow.observer import Unobserved
from pipelines.flow.sweeper import HOLD_S, Sweeper, SweepPlan
from pipelines.flow.worker import Outside, Plan, Worker
from pipelines.payloads.janitor import Janitor
from pipelines.queues.store_queue import StoreQueue
from pipelines.queues.strangers import Strangers
from pipelines.scoring.locations import Locations
from pipelines.store.scoring_runs import ScoringRuns
from pipelines.store.sql import SqlStore
from schemas.jobs import DEFAULT_TENANT
from workers.fleet import LoadedFleet, load_fleet
from workers.metrics import PrometheusObserver
from workers.strays import StraysSeen
from workers.supervisor import Supervisor

if TYPE_CHECKING:
    from api.front import Front

log = logging.getLogger("forebay")

LEAST_CREDITS = 64
BATCHES_OF_CREDIT = 4
"""Enough that the next batch is decoded while one runs and one is recorded, few enough that workers share fairly."""
API_PATIENCE_S = 1.5
"""The API answers 503 rather than wait for a store that is away."""
API_SENDS_WITHIN_S = HOLD_S
"""For so long the API alone sends what was submitted to it, unless it says that it could not; then it may have died, and
sweeping sends."""


class Api(Struct, frozen=True):
    app: "Front"
    """ASGI."""
    sweeper: Sweeper
    janitor: Janitor | None
    close: Callable[[], None]


class Serving(Struct, frozen=True):
    supervisor: Supervisor
    registry: CollectorRegistry
    fleet: LoadedFleet
    unready: Callable[[], list[str]]
    """What is away right now, a line each."""
    degraded: Callable[[], list[str]]
    """The same of what stops nothing."""
    close: Callable[[], None]


def api_of(settings: Settings) -> Api:
    import api.app  # here, so that a worker, which has no use for a web framework, starts without
    from api.deps import Deps, Limits, Scoring

    catalog = open_catalog(settings)
    with ExitStack() as stack:
        store = store_of(settings, patience=API_PATIENCE_S, hold=API_SENDS_WITHIN_S)
        stack.callback(store.close)
        redis = started(settings, store, stack)
        notices = notices_of(settings, redis)
        stack.callback(notices.close)
        outlet = _api_outlet(settings, catalog, stack)
        kept = kept_of(settings, store, stack)
        deps = Deps(
            store=store,
            catalog=catalog,
            notices=notices,
            outlet=outlet,
            broker_fault=lambda: None if outlet is None else outlet.away,
            keys=settings.tenants,
            limits=Limits(body=settings.max_body, queued=settings.max_queued, rate=settings.rate),
            release=version(),
            large=large_of(settings, kept),
            scoring=Scoring(ScoringRuns(store.db), Locations(settings.scoring_roots)),
            kept=None if redis is None else redis.results(settings, stack),
            shared_rates=None if redis is None else redis.buckets(settings, stack),
            degrading=[] if redis is None else [lambda: redis.health.fault],
        )
        app = api.app.build(deps)
        janitor = None if kept is None else kept.janitor
        remove = (lambda refs: None) if janitor is None else janitor.put
        sweeper = Sweeper(store, notices, Unobserved(), _sweeping(settings), outlet, remove)
        return Api(app, sweeper, janitor, stack.pop_all().close)


def worker_of(settings: Settings) -> Serving:
    """Loads and warms every model of the pool: slow. Raises BadModels, BadArtifact, StoreAway."""
    catalog = open_catalog(settings)
    fleet = load_fleet(catalog.in_pool(settings.pool), settings.device, log.warning, log.info)
    if not fleet.models:
        pools = ", ".join(sorted({spec.pool for spec in catalog.specs()})) or "none"
        raise BadSettings(f"pool {settings.pool}: no model of it can run here; there are models of: {pools}")
    with ExitStack() as stack:
        store = store_of(settings)
        stack.callback(store.close)
        redis = started(settings, store, stack)
        notices = notices_of(settings, redis)
        stack.callback(notices.close)
        registry = CollectorRegistry()
        observer = PrometheusObserver(registry, log.warning, time.time)
        credits = settings.credits or max(LEAST_CREDITS, BATCHES_OF_CREDIT * fleet.largest_batch)
        deliveries = max(spec.limits.max_deliveries for spec in catalog.specs() if spec.pool == settings.pool)
        broker = _broker(
            settings, catalog, Wanted(credits, deliveries, _strangers(settings, catalog, store, registry)), stack
        )
        queue, outlet = (None, None) if broker is None else (broker.queue, broker.outlet)
        most_bytes = settings.credit_bytes // 4
        receiving = queue or StoreQueue(store, fleet.models, settings.lease, most=credits, most_bytes=most_bytes)
        kept = kept_of(settings, store, stack)
        payloads, janitor = (None, None) if kept is None else (kept.payloads, kept.janitor)
        outside = Outside(
            store, receiving, fleet, notices, SystemClock(), random.Random(), observer, outlet, payloads, janitor
        )
        plan = Plan(
            lease=settings.lease, credits=credits, credit_bytes=settings.credit_bytes, sweep=_sweeping(settings),
            inline=settings.inline_bytes,
        )  # fmt: skip
        worker = Worker(outside, plan)
        supervisor = Supervisor(worker, notices, settings.grace)
        if broker is not None:
            stack.callback(broker.queue.close)
            broker.queue.open(supervisor.wake)
            registry.register(broker.gauges)

        def unready() -> list[str]:
            lines = (worker.sweeper.away, queue and queue.away)
            return [line for line in lines if line]

        def degraded() -> list[str]:
            lines = (redis and redis.health.fault, kept and kept.away())
            return [line for line in lines if line]

        return Serving(supervisor, registry, fleet, unready, degraded, stack.pop_all().close)


def _api_outlet(settings: Settings, catalog: Catalog, stack: ExitStack) -> BrokerOutlet | None:
    outlet = queues.api_outlet(settings, catalog, log.warning)
    if outlet is not None:
        stack.callback(outlet.close)
    return outlet


def _broker(settings: Settings, catalog: Catalog, wanted: Wanted, stack: ExitStack) -> Broker | None:
    broker = queues.broker(settings, catalog, wanted, log.warning, log.info)
    if broker is not None:
        stack.callback(broker.outlet.close)
    return broker


def _strangers(settings: Settings, catalog: Catalog, store: SqlStore, registry: CollectorRegistry) -> Strangers:
    """What other services put on the queue."""
    tenant = DEFAULT_TENANT if settings.queue_at is None else settings.queue_at.tenant
    keep = StraysSeen(store.keep_strays, registry, lambda line: log.warning("%s", line), time.monotonic)
    return Strangers(keep, Adopter(store, Admission(catalog), tenant).adopt)


def _sweeping(settings: Settings) -> SweepPlan:
    return SweepPlan(retention=settings.retention)
