"""Notices through Redis: PUBLISH and SUBSCRIBE, and the store's own way while Redis is away.

Who listens hears both ways, always; who sends takes the store's way only when Redis is away or nobody heard it there.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from pipelines.redis.address import RedisPlace
from pipelines.redis.connecting import FAULTS, connect
from pipelines.redis.health import Health
from pipelines.redis.way import RedisWay
from pipelines.store.notices import Notices, OnEnded, OnWork
from pipelines.store.telling import Telling

_TIMEOUT_S = 2.0
_LOOK_S = 0.5
"""How soon a listener that is to stop does."""
_PING_S = 1.0
_SILENT_S = 3.0
"""A subscription that is asked and says nothing for so long is made anew."""
_RETRY_S = (0.1, 2.0)
"""Between attempts to listen: the first pause, and the longest."""


class ClosableNotices(Notices, Protocol):
    def close(self) -> None: ...


class RedisNotices:
    def __init__(self, at: RedisPlace, health: Health, otherwise: ClosableNotices) -> None:
        """`otherwise`: the store's own way, closed with this."""
        self._at = at
        self._otherwise = otherwise
        self._telling = Telling(RedisWay(at, health, otherwise), "forebay-notify-redis")

    def work(self) -> None:
        self._telling.work()

    def ended(self, ids: Sequence[str]) -> None:
        self._telling.ended(ids)

    def listen(self, on_work: OnWork | None = None, on_ended: OnEnded | None = None) -> Callable[[], None]:
        stop_otherwise = self._otherwise.listen(on_work, on_ended)
        stopping = threading.Event()
        listener = _Listener(self._at, stopping, on_work, on_ended)
        thread = threading.Thread(target=listener.serve, name="forebay-notices-redis", daemon=True)
        thread.start()

        def stop() -> None:
            stopping.set()
            stop_otherwise()
            thread.join(_TIMEOUT_S + _LOOK_S)

        return stop

    def close(self) -> None:
        """What waits is still sent, for a moment."""
        self._telling.close()
        self._otherwise.close()


class _Listener:
    def __init__(
        self, at: RedisPlace, stopping: threading.Event, on_work: OnWork | None, on_ended: OnEnded | None
    ) -> None:
        self._at = at
        self._stopping = stopping
        self._on_work = on_work
        self._on_ended = on_ended
        self._work, self._ended = at.key("work"), at.key("ended")

    def serve(self) -> None:
        """Until it is to stop, whatever becomes of Redis: that it is away is the pulse's to tell."""
        pause = _RETRY_S[0]
        with contextlib.closing(connect(self._at, _TIMEOUT_S)) as client:
            while not self._stopping.is_set():
                begun = time.monotonic()
                with contextlib.suppress(*FAULTS), client.pubsub() as subscription:  # type: ignore[no-untyped-call]  # it has no annotations
                    self._hear(subscription)
                pause = _RETRY_S[0] if time.monotonic() - begun > _SILENT_S else min(2 * pause, _RETRY_S[1])
                self._stopping.wait(pause)

    def _hear(self, subscription: Any) -> None:
        """Raises one of FAULTS, or returns when it is to stop or nothing is heard any more."""
        channels = [self._work] if self._on_work is not None else []
        subscription.subscribe(*channels, *([self._ended] if self._on_ended is not None else []))
        heard_at = asked_at = time.monotonic()
        while not self._stopping.is_set():
            message = subscription.get_message(timeout=_LOOK_S)
            now = time.monotonic()
            if message is not None:
                heard_at = now
                self._pass_on(message)
            elif now - heard_at > _SILENT_S:
                return
            if now - asked_at >= _PING_S:
                asked_at = now
                subscription.ping()

    def _pass_on(self, message: dict[str, Any]) -> None:
        if message["type"] != "message":
            return
        channel = message["channel"].decode()
        if channel == self._work and self._on_work is not None:
            self._on_work()
        elif channel == self._ended and self._on_ended is not None:
            self._on_ended(message["data"].decode("utf-8", "replace").split("\n"))
