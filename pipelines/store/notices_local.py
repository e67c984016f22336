"""Notices between processes of one machine: datagrams to Unix sockets in a folder under home.

Every listener binds a socket of its own in `folder`, named by what it listens to; a notice goes to all that listen to
its kind. The kernel queues few datagrams for a socket (10 by default), so a sender waits a moment for room; a listener
that does not read at all is left to its own polling for a while, rather than holding up who sends.
"""

import contextlib
import errno
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

from pipelines.store.notices import OnEnded, OnWork

_WORK = b"w"
_ENDED = b"e"
_PATIENCE_S = 0.05
"""How long a sender waits for room in one listener's queue."""
_SULK_S = 1.0
"""How long a listener that had no room then gets no notices: as long as its own poll interval."""
_CHUNK_BYTES = 32_000
"""Below the smallest default limit of a datagram."""


class LocalNotices:
    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Addressed through its descriptor: a socket's path may hold only 107 bytes.
        self._folder = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        self._sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._sender.settimeout(_PATIENCE_S)
        self._full_until: dict[str, float] = {}

    def work(self) -> None:
        self._post(_WORK)

    def ended(self, ids: Sequence[str]) -> None:
        parts: list[bytes] = []
        size = 0
        for id in ids:
            part = id.encode("utf-8", "replace")
            if parts and size + len(part) > _CHUNK_BYTES:
                self._post(_ENDED + b"\n".join(parts))
                parts, size = [], 0
            parts.append(part)
            size += len(part) + 1
        if parts:
            self._post(_ENDED + b"\n".join(parts))

    def listen(self, on_work: OnWork | None = None, on_ended: OnEnded | None = None) -> Callable[[], None]:
        kinds = (_WORK if on_work is not None else b"") + (_ENDED if on_ended is not None else b"")
        name = f"{kinds.decode()}-{os.getpid()}-{uuid.uuid4().hex[:8]}.sock"
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        listening.bind(self._path(name))
        thread = threading.Thread(
            target=_receive, args=(listening, on_work, on_ended), name="forebay-notices", daemon=True
        )
        thread.start()

        def stop() -> None:
            with contextlib.suppress(OSError):
                os.unlink(name, dir_fd=self._folder)
            with contextlib.suppress(OSError):
                listening.shutdown(socket.SHUT_RD)  # ends the receive that is under way
            thread.join(timeout=2)
            listening.close()

        return stop

    def close(self) -> None:
        self._sender.close()
        os.close(self._folder)

    def _path(self, name: str) -> str:
        return f"/proc/self/fd/{self._folder}/{name}"

    def _post(self, notice: bytes) -> None:
        try:
            names = os.listdir(self._folder)
        except OSError:
            return
        kind = notice[:1].decode()
        now = time.monotonic()
        for name in names:
            if kind not in name.partition("-")[0] or self._full_until.get(name, 0.0) > now:
                continue
            try:
                self._sender.sendto(notice, self._path(name))
            except TimeoutError:
                self._full_until[name] = time.monotonic() + _SULK_S
            except OSError as fault:
                if fault.errno == errno.ECONNREFUSED:  # its process is gone
                    with contextlib.suppress(OSError):
                        os.unlink(name, dir_fd=self._folder)


def _receive(listening: socket.socket, on_work: OnWork | None, on_ended: OnEnded | None) -> None:
    while True:
        try:
            notice = listening.recv(65_536)
        except OSError:
            return
        if not notice:
            return
        if notice[:1] == _WORK and on_work is not None:
            on_work()
        elif notice[:1] == _ENDED and on_ended is not None:
            on_ended(notice[1:].decode().split("\n"))
