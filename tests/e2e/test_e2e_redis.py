"""Redis beside the store, killed, frozen, emptied, never there: slower, and nothing else (I1, I3 to I6)."""

import random
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.e2e import probe
from tests.e2e.clients import load, submit_all
from tests.e2e.kills import kill_in_mid_batch, run_twice
from tests.e2e.probe import Kind
from tests.e2e.processes import Forebay, eventually
from tests.e2e.stage import Stage, stage
from tests.services.redis import NoRedis, Redis
from tests.services.require import require
from tests.services.sqs_server import SqsServer

SEED = 20_261_122
TOLD_WITHIN = 10.0
"""Readiness, of a Redis that went or came back: a pulse a second, five of calm."""
ANSWERS_WITHIN = 1.5
"""Of any request while Redis swallows everything: its own time-outs are a tenth of that, the machine is shared."""


@pytest.fixture
def server() -> Iterator[Redis]:
    try:
        started = Redis.start()
    except NoRedis as missing:
        require(str(missing))
    with started:
        yield started


@pytest.mark.timeout(180)
def test_workers_and_redis_killed_under_load_on_sqs(server: Redis, elasticmq: SqsServer, postgres_url: str) -> None:
    kills = 4
    chance = random.Random(SEED)
    queue = elasticmq.address(elasticmq.fresh_queue())
    with stage(postgres_url, REDIS=server.url, QUEUE=queue) as on:
        api = on.place.start("api").ready()
        with load(lambda: api.url, on.history, pause=0.03, seed=SEED):
            upcoming = on.place.start("worker")
            for number in range(kills):
                worker, upcoming = upcoming.ready(), on.place.start("worker")
                kill_in_mid_batch(on, worker, chance)
                if number == 1:
                    server.kill()
                elif number == 2:
                    server.restart()
        on.rest(within=60)
        rows = on.check()
        assert len(rows) > 20 * kills
        assert run_twice(on) > 0, "the kills missed the running batches"
        eventually(lambda: not _degraded(api), TOLD_WITHIN)
        _told_once(api, "results come from the store", "is back")


@pytest.mark.timeout(120)
def test_a_redis_that_swallows_everything_or_forgets_everything(server: Redis) -> None:
    with stage(None, REDIS=server.url, RATE_LIMIT="1000/s", METRICS_PORT="0") as on:
        api, worker = on.serve()
        with load(lambda: api.url, on.history, clients=2, pause=0.02, seed=SEED) as clients:
            eventually(lambda: len(clients.ids) > 20, 20)
            server.freeze()
            slowest = _slowest(on, api, clients.ids[:3])
            eventually(lambda: _degraded(api) and _degraded(worker), TOLD_WITHIN)
            assert "redis: 127.0.0.1:" in _degraded(api)[0]
            assert slowest < ANSWERS_WITHIN
            server.thaw()
            server.flush()
            eventually(lambda: not _degraded(api) and not _degraded(worker), TOLD_WITHIN)
            seen = len(clients.ids)
            eventually(lambda: len(clients.ids) > seen + 20, 20)
        _woken_through_redis(on, api, server)
        on.rest(within=20)
        on.check()
        assert "Traceback" not in api.complained + worker.complained


@pytest.mark.timeout(60)
def test_two_replicas_share_one_bucket_and_a_redis_that_is_away_at_start_stops_nothing(server: Redis) -> None:
    password = {"REDIS": f"redis://:a-wrong-password@127.0.0.1:{server.port}/0"}
    with server.client() as client:
        client.config_set("requirepass", "another-one")
    with stage(None, RATE_LIMIT="20/h:30") as on:
        refused = on.place.start("api", **password).ready()
        eventually(lambda: _degraded(refused), TOLD_WITHIN)
        assert "a-wrong-password" not in _degraded(refused)[0] + refused.complained
        assert _submitted(refused, 31) == 30
        server.restart()  # without a password
        one, other = on.place.start("api", REDIS=server.url), on.place.start("api", REDIS=server.url)
        one.ready(), other.ready()
        assert _submitted(one, 20) == 20
        assert _submitted(other, 20) == 10


def _degraded(process: Forebay) -> list[str]:
    found = httpx.get(f"{process.url}/readyz", timeout=10)
    assert found.status_code == 200, "unready for want of Redis"
    return [line for line in found.json()["degraded"] if line.startswith("redis: ")]


def _slowest(on: Stage, api: Forebay, ids: list[str]) -> float:
    """Seconds of the slowest of some answers, of every kind."""
    slowest = 0.0
    with httpx.Client(base_url=api.url, timeout=20) as http:
        for _ in range(10):
            for id in ids:
                begun = time.monotonic()
                assert http.get(f"/result/{id}").status_code in (200, 202)
                assert http.post("/predict_async", json={"model": "probe", "inputs": {}}).status_code == 422
                slowest = max(slowest, time.monotonic() - begun)
    return slowest


def _submitted(api: Forebay, tries: int) -> int:
    """How many of them were accepted; the others were over the rate."""
    with httpx.Client(base_url=api.url, timeout=20) as http:
        body = {"model": probe.NAME, "inputs": probe.inputs(1, Kind.GOOD)}
        found = [http.post("/predict_async", json=body).status_code for _ in range(tries)]
    assert set(found) <= {202, 429}
    return found.count(202)


def _woken_through_redis(on: Stage, api: Forebay, server: Redis) -> None:
    """The notice of a job that ends now goes by Redis."""
    with server.client() as client, client.pubsub() as heard:
        heard.psubscribe("forebay:*:ended")
        [id] = submit_all(api.url, on.history, [(100_001, Kind.GOOD)])

        def told() -> bool:
            message = heard.get_message(timeout=0.1)
            return message is not None and message["type"] == "pmessage" and id.encode() in message["data"]

        eventually(told, 10)


def _told_once(process: Forebay, *what: str) -> None:
    for part in what:
        lines = [line for line in process.complained.splitlines() if part in line]
        assert len(lines) == 1, f"{part!r} was told {len(lines)} times: {process.complained[-2000:]}"
