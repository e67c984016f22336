"""Results that are read again, kept in Redis for a while: only of jobs that ended for good.

A value is trusted no further than it can be read: whatever is not a view of the very job that was asked for counts as
missing, and is written anew. Never pickle.
"""

import queue
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import cast

import msgspec
from redis import Redis

from pipelines.redis.address import RedisPlace
from pipelines.redis.connecting import FAULTS, connect
from pipelines.redis.health import Health
from schemas.jobs import JobView, Timings
from schemas.states import State

Named = tuple[str, str]
"""Tenant and job id."""

GOOD = frozenset({State.SUCCEEDED, State.CANCELED, State.EXPIRED})
"""States that nothing leads out of. A failed job may be replayed, and is never kept."""
LONGEST_S = 600.0
MOST_BYTES = 64 << 10
"""A larger value is not kept: Redis is for many small results, not for a few giants."""
READ_WITHIN_S = 0.03
"""Each wait for Redis; then the store is asked."""
_ALL_WITHIN_S = 0.05
"""For a whole list: after so long the rest of it is asked of the store."""
_AT_ONCE = 64
_WAITING = 64
"""Lists of views that wait to be written; beyond, they are not."""
_WRITE_WITHIN_S = 0.5

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(JobView).decode
_FORM = zlib.crc32(repr((JobView.__struct_fields__, Timings.__struct_fields__)).encode()).to_bytes(4, "big")
"""Before every value: a release whose views have other fields reads none of it."""


class RedisResults:
    """`get` may be called by one thread at a time, `keep` by any."""

    def __init__(self, at: RedisPlace, health: Health, retention: float, clock: Callable[[], float]) -> None:
        """`retention`: seconds that the store keeps a row. `clock`: epoch seconds."""
        self._at = at
        self._health = health
        self._retention = retention
        self._clock = clock
        self._reading = connect(at, READ_WITHIN_S, connect_timeout=2 * READ_WITHIN_S)
        self._writing = connect(at, _WRITE_WITHIN_S)
        self._waiting: queue.Queue[Sequence[JobView] | None] = queue.Queue(_WAITING)
        self._thread: threading.Thread | None = None

    def get(self, wanted: Sequence[Named]) -> dict[Named, JobView]:
        """Those of them that are kept. Never raises; answers within a tenth of a second."""
        found: dict[Named, JobView] = {}
        if not self._health.usable:
            return found
        end = time.monotonic() + _ALL_WITHIN_S
        try:
            for some in _chunks(wanted):
                found |= _those(some, self._read(some))
                if time.monotonic() >= end:
                    break
        except FAULTS as fault:
            self._health.failed(fault)
        return found

    def keep(self, views: Sequence[JobView]) -> None:
        """Those that ended for good, written by a thread of its own. Never waits, never raises."""
        good = [view for view in views if view.state in GOOD]
        if not good or not self._health.usable:
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name="forebay-results", daemon=True)
            self._thread.start()
        try:
            self._waiting.put_nowait(good)
        except queue.Full:
            return

    def close(self) -> None:
        if self._thread is not None:
            try:
                self._waiting.put(None, timeout=_WRITE_WITHIN_S)
                self._thread.join(2 * _WRITE_WITHIN_S)
            except queue.Full:
                pass
        self._reading.close()
        self._writing.close()

    def _read(self, some: Sequence[Named]) -> list[bytes | None]:
        keys = [self._key(tenant, id) for tenant, id in some]
        return cast("list[bytes | None]", self._reading.mget(keys))

    def _key(self, tenant: str, id: str) -> str:
        return self._at.key("result", tenant, id)  # an id may hold a colon, a tenant may not

    def _serve(self) -> None:
        while (views := self._waiting.get()) is not None:
            if not self._health.usable:
                continue
            try:
                self._write(self._writing, views)
            except FAULTS as fault:
                self._health.failed(fault)

    def _write(self, client: "Redis", views: Sequence[JobView]) -> None:
        with client.pipeline(transaction=False) as writes:
            for view in views:
                value, left = written(view), self._left(view)
                if len(value) <= MOST_BYTES and left > 0:
                    writes.set(self._key(view.tenant, view.id), value, px=left)
            if len(writes):
                writes.execute()

    def _left(self, view: JobView) -> int:
        """Milliseconds that it may be kept: it must not outlive its row."""
        ended = view.timings.finished_at or 0.0
        return int(min(LONGEST_S, ended + self._retention - self._clock()) * 1000)


def written(view: JobView) -> bytes:
    """As it stands in Redis."""
    return _FORM + _encode(view)


def _those(wanted: Sequence[Named], values: Sequence[bytes | None]) -> Mapping[Named, JobView]:
    found = {}
    for named, value in zip(wanted, values, strict=True):
        view = None if value is None else _view(value)
        if view is not None and (view.tenant, view.id) == named and view.state in GOOD:
            found[named] = view
    return found


def _view(value: bytes) -> JobView | None:
    """None for whatever is no view: somebody else's value, another release's, half of one."""
    if value[:4] != _FORM:
        return None
    try:
        return _decode(value[4:])
    except (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError):
        return None


def _chunks(wanted: Sequence[Named]) -> Iterator[Sequence[Named]]:
    for start in range(0, len(wanted), _AT_ONCE):
        yield wanted[start : start + _AT_ONCE]
