"""Serving the API under uvicorn: its socket, its limits, its end."""

import errno
import os
import resource
import socket
import threading
from collections.abc import Callable
from types import FrameType

import uvicorn

from api.wire import Wire
from forebay import wiring
from forebay.serving import CannotServe, Ready, settle_process
from forebay.settings import Settings

MOST_CONNECTIONS = 20_000
MOST_FILES = 65_536
OWN_FILES = 256
"""Stores, brokers, logs."""


def serve_api(settings: Settings, ready: Ready) -> int:
    listening = _listen(settings.host, settings.port)
    built = wiring.api_of(settings)
    stopping = threading.Event()
    sweeping = threading.Thread(target=_sweep, args=(built, stopping), name="forebay-sweeper", daemon=True)
    Wire.most_connections = _room_for_connections()
    config = uvicorn.Config(
        built.app, loop="uvloop", http=Wire, ws="none", lifespan="on", access_log=False, log_config=None,
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


class _Server(uvicorn.Server):
    """Tells when it has started, and answers long polls before it waits for open requests."""

    def __init__(self, config: uvicorn.Config, on_start: Callable[[], None], on_exit: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_start = on_start
        self._on_exit = on_exit

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._on_exit()
        super().handle_exit(sig, frame)
        self._captured_signals.clear()  # uvicorn would raise them again after the shutdown: no clean end to be seen

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_start()


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
    except (socket.gaierror, UnicodeError) as fault:
        raise CannotServe(
            f"address {host[:80]}: no such host; expected a name or an address of this machine"
        ) from fault
    except OSError as fault:
        hint = "choose another --port" if fault.errno in (errno.EADDRINUSE, errno.EACCES) else "choose another --host"
        raise CannotServe(f"address {host}:{port}: {os.strerror(fault.errno or 0).lower()}; {hint}") from fault
    return listening


def _room_for_connections() -> int:
    """How many this process may hold: as many files as the system allows it, less those that it needs itself."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(hard, MOST_FILES) if hard != resource.RLIM_INFINITY else MOST_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    files = MOST_FILES if soft == resource.RLIM_INFINITY else soft
    return max(16, min(MOST_CONNECTIONS, files - OWN_FILES))


def _url(listening: socket.socket, host: str) -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{listening.getsockname()[1]}"
