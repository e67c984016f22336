"""Serving a worker under signals, and what every serving process has. Each says once when it is ready."""

import gc
import logging
from collections.abc import Callable

from prometheus_client import CollectorRegistry, disable_created_metrics

from forebay import wiring
from forebay.listening import CannotServe, in_the_way
from forebay.probes import Degraded, Unready, serve_probes
from forebay.settings import Settings
from forebay.signals import run_until_signal
from workers.supervisor import EXIT_STUCK

log = logging.getLogger("forebay")

Ready = Callable[[str], None]
"""Called once, with where it serves."""


def serve_worker(settings: Settings, ready: Ready) -> int:
    serving = wiring.worker_of(settings)
    where = f"pool {settings.pool}: {', '.join(serving.fleet.models) or 'no models'}"
    if settings.metrics_port is not None:
        port = serve_metrics(settings, serving.registry, serving.unready, serving.degraded)
        where += f"; metrics on http://{settings.host}:{port}/metrics"
    settle_process()

    def serve() -> int:
        ready(where)
        ending = serving.supervisor.run()
        if ending.stuck:
            return EXIT_STUCK
        if not ending.clean:
            log.warning("the drain did not end within the grace: what is left is taken up when its leases end")
        return 0

    try:
        return run_until_signal(serve, serving.supervisor.stop)
    finally:
        serving.close()


def serve_metrics(settings: Settings, registry: CollectorRegistry, unready: Unready, degraded: Degraded = tuple) -> int:
    """Metrics and probes; the port they are served on. Raises CannotServe."""
    try:
        return serve_probes(settings.host, settings.metrics_port or 0, registry, unready, degraded)
    except (OSError, UnicodeError) as fault:
        what = in_the_way(settings.host, settings.metrics_port or 0, fault, "--metrics-port")
        raise CannotServe(f"metrics on {what}") from fault


def settle_process() -> None:
    """What start-up made stays: the collector need not walk it again, nor run every 700 objects. And of each metric its
    values are shown, not also the time of its making."""
    disable_created_metrics()  # type: ignore[no-untyped-call]  # it has no annotations
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
