"""The store away or slow: no false 202, an answer in time, bounded memory; and many requests share a transaction."""

import asyncio
import time
from typing import Any

import httpx
import pytest
from api_driver import BODY, Api, Start, until


def many(api: Api, count: int, **body: Any) -> list[httpx.Response]:
    begun = [api.client.begin("POST", "/predict_async", json={**BODY, **body}) for _ in range(count)]
    return [answer() for answer in begun]


def test_submissions_that_arrive_together_share_a_transaction(api: Api) -> None:
    api.store.hold.clear()
    begun = [api.client.begin("POST", "/predict_async", json=BODY) for _ in range(200)]
    assert api.store.entered.acquire(timeout=5)
    until(lambda: not (scribe_waiting(api) < 200))
    api.store.hold.set()
    assert {answer().status_code for answer in begun} == {202}
    assert sum(api.store.groups) == 200
    assert len(api.store.groups) <= 3


def scribe_waiting(api: Api) -> float:
    line = next(x for x in api.client.get("/metrics").text.splitlines() if x.startswith("forebay_api_waiting "))
    return float(line.split()[1])


def test_50_racing_requests_with_one_key_make_one_job(api: Api) -> None:
    headers = {"idempotency-key": "k"}
    begun = [api.client.begin("POST", "/predict_async", json=BODY, headers=headers) for _ in range(50)]
    answers = [answer() for answer in begun]
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["job_id"] for answer in answers}) == 1
    assert sum("idempotent-replayed" in answer.headers for answer in answers) == 49


@pytest.mark.parametrize("path", ["/predict_async", "/predict_async/batch", "/result/x", "/jobs", "/result/x/cancel"])
def test_a_store_that_is_away_gives_503(api: Api, path: str) -> None:
    api.store.away = True
    method = "GET" if path in ("/result/x", "/jobs") else "POST"
    body = {"jobs": [BODY]} if path.endswith("batch") else BODY
    answer = api.client.request(method, path, json=body if method == "POST" else None)
    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "/problems/store-away"


@pytest.mark.parametrize("path", ["/predict_async", "/result/x", "/jobs"])
def test_a_store_that_hangs_gives_503_within_two_seconds(api: Api, path: str) -> None:
    api.store.hold.clear()
    begun = time.monotonic()
    method = "POST" if path == "/predict_async" else "GET"
    answer = api.client.request(method, path, json=BODY if method == "POST" else None)
    took = time.monotonic() - begun
    api.store.hold.set()
    assert answer.status_code == 503
    assert took < 2.0


def test_what_was_answered_503_before_its_turn_is_not_written_later(start: Start) -> None:
    api = start(answer_within=0.05)
    api.store.hold.clear()
    first = api.client.begin("POST", "/predict_async", json=BODY)
    assert api.store.entered.acquire(timeout=5)
    second = api.submit()
    assert (first().status_code, second.status_code) == (503, 503)
    api.store.hold.set()
    until(lambda: not (scribe_waiting(api)))
    assert sum(api.store.groups) == 1  # the first was with the store already: its outcome was unknown


def test_the_backlog_is_bounded(start: Start) -> None:
    api = start(waiting=10)
    api.store.hold.clear()
    begun = [api.client.begin("POST", "/predict_async", json=BODY) for _ in range(30)]
    until(lambda: not (scribe_waiting(api) < 10))
    api.store.hold.set()
    answers = [answer() for answer in begun]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert all(answer.headers["retry-after"] for answer in refused)
    assert len(api.store.rows) == sum(answer.status_code == 202 for answer in answers)
    assert len(refused) + len(api.store.rows) == 30


def test_a_submission_that_breaks_the_statement_fails_alone(api: Api) -> None:
    api.store.bomb = "bomb"
    api.store.hold.clear()
    first = api.client.begin("POST", "/predict_async", json=BODY)
    assert api.store.entered.acquire(timeout=5)
    bad = api.client.begin("POST", "/predict_async", json={**BODY, "metadata": {"a": "bomb"}})
    good = [api.client.begin("POST", "/predict_async", json=BODY) for _ in range(5)]
    until(lambda: not (scribe_waiting(api) < 7))
    api.store.hold.set()
    assert first().status_code == 202
    assert [answer().status_code for answer in good] == [202] * 5
    assert bad().status_code == 500
    assert bad().headers["content-type"] == "application/problem+json"


def test_not_ready_while_the_store_is_away(api: Api) -> None:
    assert api.client.get("/readyz").json() == {"status": "ready", "unready": [], "degraded": []}
    api.store.away = True
    answer = api.client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["unready"][0].startswith("store: ")
    assert api.client.get("/healthz").status_code == 200
    assert api.client.request("HEAD", "/healthz").status_code == 200
    assert "forebay_store_up 0.0" in api.client.get("/metrics").text


def test_an_oversize_stream_is_not_read_to_its_end(start: Start) -> None:
    api = start(body=1000)
    sent: list[dict[str, Any]] = []
    pieces = 0

    async def receive() -> dict[str, Any]:
        nonlocal pieces
        pieces += 1
        return {"type": "http.request", "body": b" " * 400, "more_body": True}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/predict_async", "query_string": b"", "headers": []}
    api.client.run(api.client.app(scope, receive, send))
    assert sent[0]["status"] == 413
    assert pieces == 3


def test_a_client_that_leaves_frees_its_long_poll(api: Api) -> None:
    id = api.submit().json()["job_id"]
    messages = iter([{"type": "http.request", "body": b"", "more_body": False}, {"type": "http.disconnect"}])
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(0)
        return next(messages)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": f"/result/{id}", "query_string": b"wait=60", "headers": []}
    api.client.run(api.client.app(scope, receive, send))
    assert sent == []
    assert "forebay_api_long_polls 0.0" in api.client.get("/metrics").text
