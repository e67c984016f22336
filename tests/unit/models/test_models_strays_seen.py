"""Strays as a worker's metrics and log have them."""

import pytest
from prometheus_client import CollectorRegistry

from pipelines.store.port import StoreAway
from schemas.strays import Stray
from workers.strays import StraysSeen


def _stray(n: int, source: str = "jobs") -> Stray:
    return Stray(source, str(n), b"x", f"no envelope: {n}")


class Scene:
    def __init__(self) -> None:
        self.now = 0.0
        self.away = False
        self.kept: list[Stray] = []
        self.told: list[str] = []
        self.registry = CollectorRegistry()
        self.seen = StraysSeen(self.keep, self.registry, self.told.append, lambda: self.now)

    def keep(self, strays: list[Stray]) -> None:
        if self.away:
            raise StoreAway("store: away")
        self.kept += strays

    def count(self, queue: str) -> float | None:
        return self.registry.get_sample_value("forebay_strays_total", {"queue": queue})


def test_the_first_is_told_and_the_others_once_a_minute() -> None:
    scene = Scene()
    for second in range(0, 70, 10):
        scene.now = float(second)
        scene.seen([_stray(second), _stray(second + 1)])
    scene.seen([_stray(5, "other")])
    how = "see `forebay dlq ls --strays`"
    assert scene.told == [
        f"queue 'jobs': 2 messages that cannot be read were kept raw; the last: no envelope: 1; {how}",
        f"queue 'jobs': 12 messages that cannot be read were kept raw; the last: no envelope: 61; {how}",
        f"queue 'other': a message that cannot be read was kept raw: no envelope: 5; {how}",
    ]
    assert (scene.count("jobs"), scene.count("other"), len(scene.kept)) == (14.0, 1.0, 15)


def test_what_was_not_kept_is_not_told() -> None:
    scene = Scene()
    scene.away = True
    with pytest.raises(StoreAway):
        scene.seen([_stray(0)])
    assert (scene.told, scene.count("jobs")) == ([], None)
