"""Serving: the API under uvicorn, the worker under signals. Each says once when it is ready."""

import gc
import logging
import os
import socket
import threading
from collections.abc import Callable
from types import FrameType

import uvicorn
from prometheus_client import CollectorRegistry, disable_created_metrics

from forebay import wiring
from forebay.probes import Unready, serve_probes
from forebay.settings import Settings
from forebay.signals import run_until_signal
from workers.supervisor import EXIT_STUCK

log = logging.getLogger("forebay")

Ready = Callable[[str], None]
"""Called once, with where it serves."""


class CannotServe(Exception):
    """One line: what is in the way."""


def serve_api(settings: Settings, ready: Ready) -> int:
    listening = _listen(settings.host, settings.port)
    built = wiring.api_of(settings)
    stopping = threading.Event()
    sweeping = threading.Thread(target=_sweep, args=(built, stopping), name="forebay-sweeper", daemon=True)
    config = uvicorn.Config(
        built.app, loop="uvloop", http="httptools", lifespan="on", access_log=False, log_config=None,
        timeout_graceful_shutdown=int(settings.grace) or 1, timeout_keep_alive=75, server_header=False,
    )  # fmt: skip
    server = _Server(config, lambda: ready(_url(listening, settings.host)), built.app.drain)
    settle_process()
    sweeping.start()
    try:
        server.run(sockets=[listening])
    finally:
        stopping.set()
        sweeping.join(5)
        built.close()
    return 0


def serve_worker(settings: Settings, ready: Ready) -> int:
    serving = wiring.worker_of(settings)
    where = f"pool {settings.pool}: {', '.join(serving.fleet.models) or 'no models'}"
    if settings.metrics_port is not None:
        port = serve_metrics(settings, serving.registry, serving.unready)
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


class _Server(uvicorn.Server):
    """Tells when it has started, and answers long polls before it waits for open requests."""

    def __init__(self, config: uvicorn.Config, on_start: Callable[[], None], on_exit: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_start = on_start
        self._on_exit = on_exit

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._on_exit()
        super().handle_exit(sig, frame)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_start()


def serve_metrics(settings: Settings, registry: CollectorRegistry, unready: Unready) -> int:
    """Metrics and probes; the port they are served on. Raises CannotServe."""
    try:
        return serve_probes(settings.host, settings.metrics_port or 0, registry, unready)
    except OSError as fault:
        raise CannotServe(f"metrics on {settings.host}:{settings.metrics_port}: {fault.strerror}") from fault


def _sweep(built: wiring.Api, stopping: threading.Event) -> None:
    """Jobs expire and are purged even when workers are scaled to zero."""
    while not stopping.wait(built.sweeper.plan.interval):
        built.sweeper.step()


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
    except OSError as fault:
        raise CannotServe(
            f"address {host}:{port}: {os.strerror(fault.errno or 0).lower()}; choose another --port"
        ) from fault
    return listening


def _url(listening: socket.socket, host: str) -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{listening.getsockname()[1]}"


def settle_process() -> None:
    """What start-up made stays: the collector need not walk it again, nor run every 700 objects. And of each metric its
    values are shown, not also the time of its making."""
    disable_created_metrics()  # type: ignore[no-untyped-call]  # it has no annotations
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
