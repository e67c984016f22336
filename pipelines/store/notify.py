"""The sending half of notices through PostgreSQL: a thread of its own, so that nobody's commit waits for a hint."""

import threading
from collections.abc import Callable, Iterator, Sequence

import psycopg

WORK = "forebay_work"
ENDED = "forebay_ended"
_CHUNK_CHARS = 7000
"""A payload holds fewer than 8000 bytes; ids are ASCII or escaped below that."""
_MOST = 100_000
"""Ids that wait to be told: beyond, those who wait for them find out by polling."""
_CLOSE_S = 2.0


class Notifier:
    """Any thread. What is asked for while a notice is under way goes out together with the next."""

    def __init__(self, connect: Callable[[], psycopg.Connection]) -> None:
        self._connect = connect
        self._connection: psycopg.Connection | None = None
        self._changed = threading.Condition()
        self._work = False
        self._ended: list[str] = []
        self._closing = False
        self._thread: threading.Thread | None = None

    def work(self) -> None:
        with self._changed:
            self._work = True
            self._wake()

    def ended(self, ids: Sequence[str]) -> None:
        with self._changed:
            if len(self._ended) < _MOST:
                self._ended.extend(ids)
            self._wake()

    def close(self) -> None:
        """What waits is still sent, for a moment."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(_CLOSE_S)

    def _wake(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name="forebay-notify", daemon=True)
            self._thread.start()
        self._changed.notify()

    def _serve(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._work or self._ended or self._closing)
                work, ended = self._work, self._ended
                self._work, self._ended = False, []
                closing = self._closing
            if work:
                self._notify(WORK, "")
            for payload in _payloads(ended):
                self._notify(ENDED, payload)
            if closing:
                break
        if self._connection is not None:
            self._connection.close()

    def _notify(self, channel: str, payload: str) -> None:
        """A notice is a hint: when it cannot be sent, who waits finds out by polling."""
        try:
            if self._connection is None or self._connection.closed:
                self._connection = self._connect()
            self._connection.execute("SELECT pg_notify(%s, %s)", (channel, payload))
        except psycopg.Error:
            if self._connection is not None:
                self._connection.close()
            self._connection = None


def _payloads(ids: Sequence[str]) -> Iterator[str]:
    """The ids, a line each, in payloads that PostgreSQL takes."""
    chunk: list[str] = []
    size = 0
    for id in ids:
        length = len(id.encode()) + 1
        if chunk and size + length > _CHUNK_CHARS:
            yield "\n".join(chunk)
            chunk, size = [], 0
        chunk.append(id)
        size += length
    if chunk:
        yield "\n".join(chunk)
