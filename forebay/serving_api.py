"""Serving the API under uvicorn: its socket, its limits, its end."""

import socket
import threading
from collections.abc import Callable
from types import FrameType

import uvicorn

from api.wire import wire_of
from api.wire_limits import WireLimits
from forebay import wiring
from forebay.behind import repeat
from forebay.listening import allow_connections, listen, url_of
from forebay.serving import Ready, settle_process
from forebay.settings import Settings
from forebay.signals import HARD_EXIT


def serve_api(settings: Settings, ready: Ready) -> int:
    wire = wire_of(WireLimits(connections=allow_connections(settings.max_connections)))
    listening = listen(settings.host, settings.port)
    built = wiring.api_of(settings)
    stopping = threading.Event()
    behind = _behind(built, stopping)
    config = uvicorn.Config(
        built.app, loop="uvloop", http=wire, ws="none", lifespan="on", access_log=False, log_config=None,
        timeout_graceful_shutdown=int(settings.grace) or 1, timeout_keep_alive=75, server_header=False,
    )  # fmt: skip
    server = _Server(config, lambda: ready(url_of(listening, settings.host)), built.app.drain)
    settle_process()
    for thread in behind:
        thread.start()
    try:
        server.run(sockets=[listening])
    finally:
        stopping.set()
        behind[0].join(5)
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


def _behind(built: wiring.Api, stopping: threading.Event) -> list[threading.Thread]:
    """Jobs expire and are purged even when workers are scaled to zero. Payloads of what was purged are removed, and orphans,
    by a thread of its own: a storage that hangs holds up no sweep."""
    sweeper, janitor = built.sweeper, built.janitor
    threads = [repeat("sweeper", sweeper.step, lambda: stopping.wait(sweeper.plan.interval), stopping)]
    if janitor is not None:
        threads.append(repeat("janitor", janitor.step, lambda: janitor.wait(1.0), stopping))
    return threads
