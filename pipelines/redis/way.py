"""How notices leave through Redis: PUBLISH, and the store's own way when nobody heard it there."""

from collections.abc import Iterator, Sequence

from pipelines.redis.address import RedisPlace
from pipelines.redis.connecting import FAULTS, connect
from pipelines.redis.health import Health
from pipelines.store.notices import Notices

_TIMEOUT_S = 0.5
_CHUNK = 500
"""Ids in one message."""


class RedisWay:
    """See `pipelines.store.telling.Way`."""

    def __init__(self, at: RedisPlace, health: Health, otherwise: Notices) -> None:
        self._health = health
        self._otherwise = otherwise
        self._client = connect(at, _TIMEOUT_S)
        self._work_channel, self._ended_channel = at.key("work"), at.key("ended")

    def send(self, work: bool, ended: Sequence[str]) -> None:
        if work and not self._publish(self._work_channel, b""):
            self._otherwise.work()
        for ids in _chunks(ended):
            if not self._publish(self._ended_channel, "\n".join(ids).encode("utf-8", "replace")):
                self._otherwise.ended(ids)

    def close(self) -> None:
        self._client.close()

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
