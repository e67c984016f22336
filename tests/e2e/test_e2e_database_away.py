"""PostgreSQL crashes under load and comes back: 503 in time while it is away, no false 202, and everything ends (I1)."""

import time
from collections.abc import Iterator

import httpx
import pytest

from tests.e2e import probe
from tests.e2e.clients import Load, load
from tests.e2e.history import read
from tests.e2e.processes import eventually
from tests.e2e.stage import Stage, stage
from tests.services.installations import NoPostgres
from tests.services.postgres import Postgres
from tests.services.require import require

AWAY_S = 4.0
TOLD_WITHIN = 2.5
"""Of 2 s, and what two shared cores add."""
RECOVERS_WITHIN = 15.0


@pytest.fixture
def server() -> Iterator[Postgres]:
    try:
        started = Postgres.start()
    except NoPostgres as missing:
        require(str(missing))
    with started:
        yield started


@pytest.mark.timeout(120)
def test_postgres_crashes_under_load_and_comes_back(server: Postgres) -> None:
    with stage(server.fresh_database(), LEASE="4s") as on:
        api, worker = on.serve()
        with load(lambda: api.url, on.history, clients=3, pause=0.01) as clients:
            for _ in range(2):
                _accepts_more(clients, 60, within=30)
                server.stop("immediate")
                down_since = time.monotonic()
                _told_within(api.url)
                time.sleep(max(0.0, AWAY_S - (time.monotonic() - down_since)))
                server.restart()
                back = time.monotonic()
                _accepts_more(clients, 30, RECOVERS_WITHIN)
                _answers_more(on, RECOVERS_WITHIN - (time.monotonic() - back))
        assert clients.away_longest < TOLD_WITHIN
        on.rest(within=40)
        on.check()
        assert any(event.what == "unknown" for event in read(on.history.path))
        assert worker.stop() == 0, "the worker did not live through it"
        assert "Traceback" not in worker.complained + api.complained


def _accepts_more(clients: Load, count: int, within: float) -> None:
    wanted = len(clients.ids) + count
    eventually(lambda: len(clients.ids) >= wanted, within)


def _answers_more(on: Stage, within: float) -> None:
    before = on.rows.count("succeeded")
    eventually(lambda: on.rows.count("succeeded") > before, within)


def _told_within(url: str) -> None:
    began = time.monotonic()
    answer = httpx.post(f"{url}/predict_async", json={"model": probe.NAME, "inputs": probe.inputs(1)}, timeout=10)
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert "retry-after" in answer.headers
    assert time.monotonic() - began < TOLD_WITHIN
    assert httpx.get(f"{url}/readyz", timeout=10).status_code == 503
    assert httpx.get(f"{url}/healthz", timeout=10).status_code == 200
