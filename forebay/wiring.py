"""Wiring: concrete classes for the ports, by the settings. Nothing here acts on its own."""

import logging
import random
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING

from msgspec import Struct
from prometheus_client import CollectorRegistry

from forebay import version
from forebay.settings import Settings
from forebay.stores import notices_of, open_catalog, store_of
from pipelines.clock import SystemClock
from pipelines.flow.observer import Observer, Unobserved
from pipelines.flow.sweeper import Sweeper, SweepPlan
from pipelines.flow.worker import Outside, Plan, Worker
from pipelines.queues.store_queue import StoreQueue
from pipelines.store.notices import Notices
from pipelines.store.sql import SqlStore
from workers.fleet import LoadedFleet, load_fleet
from workers.metrics import PrometheusObserver
from workers.supervisor import Supervisor

if TYPE_CHECKING:
    from api.front import Front

log = logging.getLogger("forebay")

LEAST_CREDITS = 64
BATCHES_OF_CREDIT = 4
"""Enough that the next batch is decoded while one runs and one is recorded, few enough that workers share fairly."""
API_PATIENCE_S = 1.5
"""The API answers 503 rather than wait for a store that is away."""


class Api(Struct, frozen=True):
    app: "Front"
    """ASGI."""
    sweeper: Sweeper
    close: Callable[[], None]


class Serving(Struct, frozen=True):
    supervisor: Supervisor
    registry: CollectorRegistry
    fleet: LoadedFleet
    close: Callable[[], None]


def api_of(settings: Settings) -> Api:
    import api.app  # here, so that a worker, which has no use for a web framework, starts without
    from api.deps import Deps, Limits

    catalog = open_catalog(settings)
    with ExitStack() as stack:
        store = store_of(settings, patience=API_PATIENCE_S)
        stack.callback(store.close)
        notices = notices_of(settings)
        stack.callback(notices.close)
        deps = Deps(
            store=store,
            catalog=catalog,
            notices=notices,
            keys=settings.tenants,
            limits=Limits(body=settings.max_body, queued=settings.max_queued),
            release=version(),
        )
        app = api.app.build(deps)
        sweeper = Sweeper(store, notices, Unobserved(), _sweeping(settings), outlet=None)
        return Api(app, sweeper, stack.pop_all().close)


def worker_of(settings: Settings) -> Serving:
    """Loads and warms every model of the pool: slow. Raises BadModels, BadArtifact, StoreAway."""
    catalog = open_catalog(settings)
    fleet = load_fleet(catalog.in_pool(settings.pool), settings.device, log.warning)
    with ExitStack() as stack:
        store = store_of(settings)
        stack.callback(store.close)
        notices = notices_of(settings)
        stack.callback(notices.close)
        registry = CollectorRegistry()
        observer = PrometheusObserver(registry, log.warning)
        worker = _worker(settings, store, notices, fleet, observer)
        supervisor = Supervisor(worker, notices, settings.grace)
        return Serving(supervisor, registry, fleet, stack.pop_all().close)


def _worker(settings: Settings, store: SqlStore, notices: Notices, fleet: LoadedFleet, observer: Observer) -> Worker:
    credits = settings.credits or max(LEAST_CREDITS, BATCHES_OF_CREDIT * fleet.largest_batch)
    queue = StoreQueue(store, fleet.models, settings.lease, most=credits, most_bytes=settings.credit_bytes // 4)
    outside = Outside(store, queue, fleet, notices, SystemClock(), random.Random(), observer)
    plan = Plan(lease=settings.lease, credits=credits, credit_bytes=settings.credit_bytes, sweep=_sweeping(settings))
    return Worker(outside, plan)


def _sweeping(settings: Settings) -> SweepPlan:
    return SweepPlan(retention=settings.retention)
