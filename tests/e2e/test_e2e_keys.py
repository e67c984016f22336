"""Idempotency keys (I1, I2): an API killed between insert and reply, and racing requests."""

import random
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import httpx
import pytest

from tests.e2e import probe
from tests.e2e.clients import load
from tests.e2e.history import read
from tests.e2e.probe import Kind
from tests.e2e.processes import Forebay
from tests.e2e.stage import stage

ROUNDS = 4


class Current:
    """The API that serves now."""

    def __init__(self, process: Forebay) -> None:
        self.process = process

    def url(self) -> str:
        return self.process.url


@pytest.mark.timeout(120)
def test_api_killed_while_submissions_are_in_flight(store: str | None) -> None:
    chance = random.Random(3)
    with stage(store) as on:
        now = Current(on.place.start("api").ready())
        port = now.url().rpartition(":")[2]  # a client knows one address
        with load(now.url, on.history, clients=6, pause=0.0, kind=Kind.GOOD) as clients:
            for _ in range(ROUNDS if store is None else 2):
                before = len(clients.ids)
                while len(clients.ids) < before + 30:
                    time.sleep(0.01)
                time.sleep(chance.uniform(0, 0.05))
                now.process.kill()
                now.process = on.place.start("api", PORT=port).ready()
        on.place.start("worker").ready()
        on.rest(within=40)
        rows = on.check()
        assert len(rows) == len({event.key for event in read(on.history.path) if event.what == "ok"})
        assert any(event.what == "unknown" for event in read(on.history.path)), "no kill met a submission in flight"


def test_killed_between_commit_and_reply_the_retry_finds_its_job() -> None:
    """Certain, not by chance: the commit is seen in the database before the reply can be, then the API is killed."""
    with stage(None) as on:
        api = on.place.start("api").ready()
        port = api.url.rpartition(":")[2]
        for n in range(1, 3):
            _submit_and_kill_at_the_commit(on.place.store, api, n)
            assert len(on.rows.all()) == n, "the kill came before the commit"
            api = on.place.start("api", PORT=port).ready()
            answer = _post(api.url, f"key-{n}", n)
            assert answer.status_code == 202
            assert answer.json()["job_id"] == on.rows.all()[-1].id
            assert len(on.rows.all()) == n


def _submit_and_kill_at_the_commit(store: str, api: Forebay, n: int) -> None:
    def send() -> None:
        try:
            _post(api.url, f"key-{n}", n, prefer="wait=20")  # the reply waits for the result: there is no worker
        except httpx.TransportError:
            return

    sending = threading.Thread(target=send)
    sending.start()
    with closing(sqlite3.connect(store.removeprefix("sqlite:///"))) as connection:
        while connection.execute("SELECT count(*) FROM jobs").fetchone()[0] < n:
            time.sleep(0.001)
    api.kill()
    sending.join()


def test_fifty_racing_requests_with_one_key_make_one_job(store: str | None) -> None:
    with stage(store) as on:
        api = on.place.start("api").ready()
        barrier = threading.Barrier(50)

        def race(_: int) -> httpx.Response:
            barrier.wait()
            return _post(api.url, "the-key", 7)

        with ThreadPoolExecutor(50) as pool:
            answers = list(pool.map(race, range(50)))
        assert {answer.status_code for answer in answers} == {202}
        assert len({answer.json()["job_id"] for answer in answers}) == 1
        assert len(on.rows.all()) == 1
        other = _post(api.url, "the-key", 8)
        assert other.status_code == 422
        assert other.headers["content-type"] == "application/problem+json"
        on.place.start("worker").ready()
        on.rest(within=20)
        (row,) = on.rows.all()
        assert (row.state, row.answer) == ("succeeded", probe.f(7))
        assert [n for _, n in on.runs()] == [7]


def _post(url: str, key: str, n: int, prefer: str | None = None) -> httpx.Response:
    headers = {"Idempotency-Key": key} | ({"Prefer": prefer} if prefer else {})
    return httpx.post(
        f"{url}/predict_async", json={"model": probe.NAME, "inputs": probe.inputs(n)}, headers=headers, timeout=30
    )
