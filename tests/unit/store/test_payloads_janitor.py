"""The janitor: what jobs leave behind, and what no job ever came to name."""

import time
from collections.abc import Sequence
from pathlib import Path

from pipelines.payloads import keys
from pipelines.payloads.folder import FolderPayloads
from pipelines.payloads.janitor import PLAN, Janitor
from pipelines.payloads.memory import MemoryPayloads
from pipelines.payloads.port import PayloadsAway
from pipelines.store.memory import MemoryStore
from schemas.jobs import Submission


class Time:
    now = 1000.0

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now


class Store(MemoryStore):
    """Somebody else may hold the lease."""

    mine = True

    def take_lease(self, name: str, lease: float) -> bool:
        return self.mine


class Scene:
    def __init__(self) -> None:
        self.clock = Time()
        self.payloads = MemoryPayloads(self.clock.time)
        self.store = Store(self.clock.time)
        self.said: list[str] = []
        self.janitor = Janitor(self.payloads, self.payloads, self.store, self.clock, self.said.append)

    def put(self, *jobs: str) -> list[str]:
        refs = [keys.of_input("default", job, 0, b"{}") for job in jobs]
        for ref in refs:
            self.payloads.hold(ref, b"{}")
        return refs

    def submit(self, job: str, ref: str) -> None:
        self.store.submit([Submission(job, "default", "m", "1", b"", job.encode(), inputs_ref=ref, referred=2)])


def test_what_is_told_goes_at_once() -> None:
    scene = Scene()
    refs = scene.put("a", "b", "c")
    scene.janitor.put(refs[:2])
    assert scene.janitor.step() == 2
    assert list(scene.payloads.held) == refs[2:]


def test_orphans_of_a_day_go_and_nothing_else() -> None:
    scene = Scene()
    named, _ = scene.put("named", "orphan")
    scene.submit("named", named)
    assert scene.janitor.step() == 0, "its row may be on the way"
    scene.clock.now += PLAN.age
    (young,) = scene.put("young")
    assert scene.janitor.step() == 1
    assert sorted(scene.payloads.held) == sorted([named, young])


def test_it_looks_about_hourly_and_only_who_holds_the_lease() -> None:
    scene = Scene()
    scene.janitor.step()
    scene.put("orphan")
    scene.clock.now += PLAN.age
    scene.store.mine = False
    assert scene.janitor.step() == 0
    scene.store.mine = True
    assert scene.janitor.step() == 0, "not before an hour has passed"
    scene.clock.now += PLAN.interval
    assert scene.janitor.step() == 1


def test_payloads_that_are_away_are_told_and_left_for_later() -> None:
    scene = Scene()
    (ref,) = scene.put("a")

    def away(refs: Sequence[str]) -> None:
        raise PayloadsAway("payloads: away")

    remove, scene.payloads.remove = scene.payloads.remove, away  # type: ignore[method-assign]
    scene.janitor.put([ref])
    assert scene.janitor.step() == 0
    assert "away" in scene.said[0]
    scene.payloads.remove = remove  # type: ignore[method-assign]
    scene.clock.now += PLAN.age
    assert scene.janitor.step() == 1


def test_what_others_put_among_payloads_stays_and_ends_nobody(tmp_path: Path) -> None:
    """A file system's own files, a file browser's, a row that was changed by hand."""
    clock, told = Time(), list[str]()
    payloads = FolderPayloads(tmp_path, "store", lambda: time.time() + PLAN.age + 60)
    orphan = keys.of_input("default", "a", 0, b"{}")
    payloads.put(orphan, b"{}")
    foreign = tmp_path / "store" / "default" / "ab" / ".nfs000000000001"
    foreign.parent.mkdir(exist_ok=True)
    foreign.touch()
    janitor = Janitor(payloads, payloads, Store(clock.time), clock, told.append)
    janitor.put(["../../etc/passwd"])
    assert janitor.step() == 1
    assert foreign.exists()
    assert payloads.found(orphan) is None
    assert told == ["1 payloads that no job names were removed"]
