"""Notices through PostgreSQL: LISTEN and NOTIFY."""

import contextlib
import threading
from collections.abc import Callable, Sequence

import psycopg
from sqlalchemy import URL

from pipelines.store.keepalive import KEEPALIVE
from pipelines.store.notices import OnEnded, OnWork
from pipelines.store.notify import ENDED, WORK, PostgresWay
from pipelines.store.telling import Telling

_RECONNECT_S = 1.0


class PostgresNotices:
    def __init__(self, url: URL) -> None:
        self._conninfo = url.set(drivername="postgresql").render_as_string(hide_password=False)
        self._telling = Telling(PostgresWay(self._connect), "forebay-notify")

    def work(self) -> None:
        self._telling.work()

    def ended(self, ids: Sequence[str]) -> None:
        self._telling.ended(ids)

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
        self._telling.close()

    def _listen(self, stopping: threading.Event, on_work: OnWork | None, on_ended: OnEnded | None) -> None:
        while not stopping.is_set():
            with contextlib.suppress(psycopg.Error), self._connect() as connection:
                connection.execute(f"LISTEN {WORK}")
                connection.execute(f"LISTEN {ENDED}")
                while not stopping.is_set():
                    for notice in connection.notifies(timeout=0.5):
                        if notice.channel == WORK and on_work is not None:
                            on_work()
                        elif notice.channel == ENDED and on_ended is not None:
                            on_ended(notice.payload.split("\n"))
            stopping.wait(_RECONNECT_S)

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(
            self._conninfo, autocommit=True, connect_timeout=5, application_name="forebay", **KEEPALIVE
        )
