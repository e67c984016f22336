"""Notices through PostgreSQL: LISTEN and NOTIFY."""

import contextlib
import threading
from collections.abc import Callable, Sequence

import psycopg
from sqlalchemy import URL

from pipelines.store.keepalive import KEEPALIVE
from pipelines.store.notices import OnEnded, OnWork

_WORK = "forebay_work"
_ENDED = "forebay_ended"
_CHUNK_CHARS = 7000
"""A payload holds fewer than 8000 bytes; ids are ASCII or escaped below that."""
_RECONNECT_S = 1.0


class PostgresNotices:
    def __init__(self, url: URL) -> None:
        self._conninfo = url.set(drivername="postgresql").render_as_string(hide_password=False)
        self._sending = threading.Lock()
        self._connection: psycopg.Connection | None = None

    def work(self) -> None:
        self._notify(_WORK, "")

    def ended(self, ids: Sequence[str]) -> None:
        chunk: list[str] = []
        size = 0
        for id in ids:
            if chunk and size + len(id.encode()) + 1 > _CHUNK_CHARS:
                self._notify(_ENDED, "\n".join(chunk))
                chunk, size = [], 0
            chunk.append(id)
            size += len(id.encode()) + 1
        if chunk:
            self._notify(_ENDED, "\n".join(chunk))

    def listen(self, on_work: OnWork | None = None, on_ended: OnEnded | None = None) -> Callable[[], None]:
        stopping = threading.Event()
        thread = threading.Thread(
            target=self._listen, args=(stopping, on_work, on_ended), name="forebay-notices", daemon=True
        )
        thread.start()

        def stop() -> None:
            stopping.set()
            thread.join(timeout=3)

        return stop

    def close(self) -> None:
        with self._sending:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _notify(self, channel: str, payload: str) -> None:
        """A notice is a hint: when it cannot be sent, who waits finds out by polling."""
        with self._sending:
            try:
                if self._connection is None or self._connection.closed:
                    self._connection = self._connect()
                self._connection.execute("SELECT pg_notify(%s, %s)", (channel, payload))
            except psycopg.Error:
                if self._connection is not None:
                    self._connection.close()
                self._connection = None

    def _listen(self, stopping: threading.Event, on_work: OnWork | None, on_ended: OnEnded | None) -> None:
        while not stopping.is_set():
            with contextlib.suppress(psycopg.Error), self._connect() as connection:
                connection.execute(f"LISTEN {_WORK}")
                connection.execute(f"LISTEN {_ENDED}")
                while not stopping.is_set():
                    for notice in connection.notifies(timeout=0.5):
                        if notice.channel == _WORK and on_work is not None:
                            on_work()
                        elif notice.channel == _ENDED and on_ended is not None:
                            on_ended(notice.payload.split("\n"))
            stopping.wait(_RECONNECT_S)

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(
            self._conninfo, autocommit=True, connect_timeout=5, application_name="forebay", **KEEPALIVE
        )
