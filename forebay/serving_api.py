"""Serving the API under uvicorn: its socket, its limits, its end."""

import socket
import threading
from collections.abc import Callable
from types import FrameType

import uvicorn

from api.wire import wire_of
from api.wire_limits import WireLimits
from forebay import wiring
from forebay.listening import allow_connections, listen, url_of
from forebay.serving import Ready, settle_process
from forebay.settings import Settings
from forebay.signals import HARD_EXIT


def serve_api(settings: Settings, ready: Ready) -> int:
    wire = wire_of(WireLimits(connections=allow_connections(settings.max_connections)))
    listening = listen(settings.host, settings.port)
    built = wiring.api_of(settings)
    stopping = threading.Event()
    sweeping = threading.Thread(target=_sweep, args=(built, stopping), name="forebay-sweeper", daemon=True)
    tidying = threading.Thread(target=_tidy, args=(built, stopping), name="forebay-janitor", daemon=True)
    config = uvicorn.Config(
        built.app, loop="uvloop", http=wire, ws="none", lifespan="on", access_log=False, log_config=None,
        timeout_graceful_shutdown=int(settings.grace) or 1, timeout_keep_alive=75, server_header=False,
    )  # fmt: skip
    server = _Server(config, lambda: ready(url_of(listening, settings.host)), built.app.drain)
    settle_process()
    sweeping.start()
    tidying.start()
    try:
        server.run(sockets=[listening])
    finally:
        stopping.set()
        sweeping.join(5)
        built.close()
    return HARD_EXIT if server.force_exit else 0


class _Server(uvicorn.Server):
    """Tells when it has started, and answers long polls before it waits for open requests."""

    def __init__(self, config: uvicorn.Config, on_start: Callable[[], None], on_exit: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_start = on_start
        self._on_exit = on_exit

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first signal drains, the second stops hard. uvicorn's own would raise it again after the drain, so that
        the process ended by it: with its exit code, and without what is closed at the end."""
        self._on_exit()
        self.force_exit = self.should_exit
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_start()


def _sweep(built: wiring.Api, stopping: threading.Event) -> None:
    """Jobs expire and are purged even when workers are scaled to zero."""
    while not stopping.wait(built.sweeper.plan.interval):
        built.sweeper.step()


def _tidy(built: wiring.Api, stopping: threading.Event) -> None:
    """Payloads of what was purged are removed, and orphans. A storage that hangs holds up no sweep."""
    while built.janitor is not None and not stopping.is_set():
        built.janitor.step()
        built.janitor.wait(1.0)
