"""Minutes of random kills, freezes and drains of everything, poison among the load: the invariants hold at the end."""

import os
import random
import signal
import time

import pytest

from schemas.states import State
from tests.e2e.clients import load, submit_all
from tests.e2e.conftest import store  # noqa: F401  # the fixture
from tests.e2e.history import read
from tests.e2e.probe import Kind
from tests.e2e.processes import Forebay
from tests.e2e.stage import Stage, stage

MINUTES = 10.0
POISON = range(1_000_000, 1_000_010)
"""Numbers that the load does not come to."""


class Crew:
    """One API at one address, two workers, and what happens to them."""

    def __init__(self, on: Stage, chance: random.Random) -> None:
        self._on = on
        self._chance = chance
        self.api = on.place.start("api").ready()
        self._port = self.api.url.rpartition(":")[2]
        self._workers = [on.place.start("worker").ready() for _ in range(2)]

    def url(self) -> str:
        return self.api.url

    def disturb(self) -> None:
        act = self._chance.choice([self._kill_worker, self._kill_worker, self._drain, self._freeze, self._kill_api])
        act()

    def heal(self) -> None:
        """A worker that poison took down is started again."""
        for place, worker in enumerate(self._workers):
            if worker.code is not None:
                self._workers[place] = self._on.place.start("worker")

    def _kill_worker(self) -> None:
        self._one().kill()

    def _drain(self) -> None:
        worker = self._one()
        if worker.code is None:
            worker.signal(signal.SIGTERM)

    def _freeze(self) -> None:
        worker = self._one()
        if worker.code is None:
            worker.signal(signal.SIGSTOP)
            time.sleep(self._chance.uniform(0.5, 5))
            worker.signal(signal.SIGCONT)

    def _kill_api(self) -> None:
        self.api.kill()
        self.api = self._on.place.start("api", PORT=self._port).ready()

    def _one(self) -> Forebay:
        return self._chance.choice(self._workers)


@pytest.mark.soak
def test_ten_minutes_of_random_faults(store: str | None) -> None:  # noqa: F811
    minutes = float(os.environ.get("SOAK_MINUTES", MINUTES))
    chance = random.Random(20_261_121)
    # Deliveries are many: that a healthy item is taken for a killer, after so many kills, is no fault of its own.
    with stage(store, {"max_deliveries": 50}) as on:
        crew = Crew(on, chance)
        submit_all(crew.url(), on.history, [(n, Kind.ERROR) for n in POISON])
        with load(crew.url, on.history, clients=3, pause=0.03):
            until = time.monotonic() + 60 * minutes
            while time.monotonic() < until:
                time.sleep(chance.uniform(0.5, 4))
                crew.disturb()
                crew.heal()
        deadline = time.monotonic() + 300
        while on.rows.open() and time.monotonic() < deadline:
            crew.heal()
            time.sleep(0.5)
        rows = on.check({Kind.ERROR: (State.FAILED, "model_error")})
        assert len(rows) == len({event.key for event in read(on.history.path) if event.what == "invoke"})
