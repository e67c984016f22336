"""A worker killed in mid-batch: nothing is lost, nothing is there twice (I1, I3, I4, I5, I6)."""

import random

import pytest

from tests.e2e.clients import load
from tests.e2e.kills import kill_in_mid_batch, run_twice
from tests.e2e.stage import Ground, stage

SEED = 20_261_121


@pytest.mark.timeout(180)
def test_worker_killed_in_mid_batch_twenty_times_under_load(ground: Ground) -> None:
    kills = 20 if ground == Ground(None) else 4
    chance = random.Random(SEED)
    with stage(ground.store, **ground.settings) as on:
        api = on.place.start("api").ready()
        with load(lambda: api.url, on.history, pause=0.03, seed=SEED):
            upcoming = on.place.start("worker")
            for _ in range(kills):
                worker, upcoming = upcoming.ready(), on.place.start("worker")
                kill_in_mid_batch(on, worker, chance)
        on.rest(within=60)
        rows = on.check()
        assert len(rows) > 20 * kills
        assert run_twice(on) > kills // 2, "the kills missed the running batches"
