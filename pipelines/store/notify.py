"""How notices leave through PostgreSQL: NOTIFY, on a connection of their own."""

from collections.abc import Callable, Iterator, Sequence

import psycopg

WORK = "forebay_work"
ENDED = "forebay_ended"
_CHUNK_CHARS = 7000
"""A payload holds fewer than 8000 bytes; ids are ASCII or escaped below that."""


class PostgresWay:
    """See `pipelines.store.telling.Way`."""

    def __init__(self, connect: Callable[[], psycopg.Connection]) -> None:
        self._connect = connect
        self._connection: psycopg.Connection | None = None

    def send(self, work: bool, ended: Sequence[str]) -> None:
        if work:
            self._notify(WORK, "")
        for payload in _payloads(ended):
            self._notify(ENDED, payload)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def _notify(self, channel: str, payload: str) -> None:
        try:
            if self._connection is None or self._connection.closed:
                self._connection = self._connect()
            self._connection.execute("SELECT pg_notify(%s, %s)", (channel, payload))
        except psycopg.Error:
            self.close()
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
