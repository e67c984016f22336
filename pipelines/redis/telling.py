"""The sending half of notices through Redis: a thread of its own, so that nobody's commit waits for a hint."""

import threading
from collections.abc import Iterator, Sequence

from pipelines.redis.address import RedisAddress
from pipelines.redis.connecting import FAULTS, connect
from pipelines.redis.health import Health
from pipelines.store.notices import Notices

_TIMEOUT_S = 0.5
_CHUNK = 500
"""Ids in one message."""
_MOST = 100_000
"""Ids that wait to be told: beyond, those who wait for them find out by polling."""
_CLOSE_S = 2.0


class Teller:
    """Any thread. What is asked for while a notice is under way goes out together with the next."""

    def __init__(self, at: RedisAddress, health: Health, otherwise: Notices) -> None:
        self._health = health
        self._otherwise = otherwise
        self._client = connect(at, _TIMEOUT_S)
        self._work_channel, self._ended_channel = at.key("work"), at.key("ended")
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
        self._client.close()

    def _wake(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name="forebay-notify-redis", daemon=True)
            self._thread.start()
        self._changed.notify()

    def _serve(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._work or self._ended or self._closing)
                work, ended = self._work, self._ended
                self._work, self._ended = False, []
                closing = self._closing
            if work and not self._publish(self._work_channel, b""):
                self._otherwise.work()
            for ids in _chunks(ended):
                if not self._publish(self._ended_channel, "\n".join(ids).encode("utf-8", "replace")):
                    self._otherwise.ended(ids)
            if closing:
                return

    def _publish(self, channel: str, payload: bytes) -> bool:
        """Whether anybody heard it."""
        if not self._health.usable:
            return False
        try:
            return bool(self._client.publish(channel, payload))
        except FAULTS as fault:
            self._health.failed(fault)
            return False


def _chunks(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), _CHUNK):
        yield ids[start : start + _CHUNK]
