"""Redis's parts for tests: a health whose pulse beats when the test says so, notices that only remember."""

import time
from collections.abc import Callable, Sequence

from pipelines.redis.address import RedisAddress, RedisPlace
from pipelines.redis.health import Health

PATIENCE_S = 20.0
STORE = "0123abcd"
"""The identity of the store whose keys these are."""


def place_of(url: str, store: str = STORE) -> RedisPlace:
    return RedisAddress.parse(url).of(store)


class Times:
    """A monotonic clock that the test moves."""

    now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Told(list[str]):
    """Lines as the log would have them."""


def health_of(url: str, told: Told | None = None, times: Times | None = None, timeout: float = 0.5) -> Health:
    return Health(place_of(url), (Told() if told is None else told).append, times or Times(), timeout)


class Remembering:
    """Notices of the store, as far as they were told."""

    def __init__(self) -> None:
        self.works = 0
        self.ids: list[str] = []
        self.closed = False

    def work(self) -> None:
        self.works += 1

    def ended(self, ids: Sequence[str]) -> None:
        self.ids += ids

    def listen(
        self, on_work: Callable[[], None] | None = None, on_ended: Callable[[list[str]], None] | None = None
    ) -> Callable[[], None]:
        return lambda: None

    def close(self) -> None:
        self.closed = True


def until(true: Callable[[], object], within: float = PATIENCE_S) -> None:
    last = time.monotonic() + within
    while not true():
        assert time.monotonic() < last, "it never came to be"
        time.sleep(0.002)
