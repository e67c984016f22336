"""Each call: what goes out, and what becomes of what comes back."""

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from client_driver import Driver, accepted, body_of, problem, standing

import forebay_client as fc

JSON = httpx.Response


def test_submit_sends_one_job_with_a_key_of_its_own(client: Driver) -> None:
    job = client(lambda _: JSON(202, json=accepted("7")), key="secret").submit("m", {"x": 1}, version="2", priority=3)
    assert (job.id, job.status, job.result, job.links["cancel"]) == ("7", "queued", None, "/result/7/cancel")
    sent = client.requests[0]
    assert (sent.method, sent.url.path) == ("POST", "/predict_async")
    assert body_of(sent) == {"model": "m", "inputs": {"x": 1}, "version": "2", "priority": 3}
    assert len(sent.headers["idempotency-key"]) == 36
    assert sent.headers["authorization"] == "Bearer secret"
    assert "prefer" not in sent.headers


def test_submit_that_waits_brings_the_result(client: Driver) -> None:
    job = client(lambda _: JSON(200, json=standing("7"))).submit("m", {}, wait=2, idempotency_key="mine")
    assert job.result is not None
    assert job.result.value == {"y": "7"}
    assert client.requests[0].headers["prefer"] == "wait=2.000"
    assert client.requests[0].headers["idempotency-key"] == "mine"


def test_submit_many_answers_in_order_jobs_and_problems(client: Driver) -> None:
    refused = body = {"type": "/problems/invalid-input", "title": "T", "status": 422, "detail": "bad",
                      "errors": [{"field": "inputs", "message": "bad"}]}  # fmt: skip
    answers = client(lambda _: JSON(202, json={"jobs": [accepted("1"), body, accepted("3")]})).submit_many(
        "m", [1, 2, 3]
    )
    assert [type(answer) for answer in answers] == [fc.Job, fc.Problem, fc.Job]
    assert (answers[1].kind, answers[1].field, answers[1].status) == ("invalid-input", "inputs", refused["status"])
    keys = [entry["idempotency_key"] for entry in body_of(client.requests[0])["jobs"]]
    assert len(set(keys)) == 3


def test_submit_many_is_cut_into_batches_and_one_that_fails_loses_no_other(client: Driver) -> None:
    def serve(request: httpx.Request) -> httpx.Response:
        entries = body_of(request)["jobs"]
        if entries[0]["inputs"] == 1000:
            return problem(413, "too-large")
        return JSON(202, json={"jobs": [accepted(str(entry["inputs"])) for entry in entries]})

    answers = client(serve).submit_many("m", list(range(2001)))
    assert [answer.id for answer in answers[:1000]] == [str(n) for n in range(1000)]
    assert {answer.status for answer in answers[1000:2000]} == {413}
    assert answers[2000].id == "2000"


def test_submit_many_raises_for_a_wrong_key_and_for_missing_answers(client: Driver) -> None:
    with pytest.raises(fc.Unauthorized):
        client(lambda _: problem(401)).submit_many("m", [1])
    with pytest.raises(fc.ForebayError, match="submitted 2 jobs, got 1"):
        client(lambda _: JSON(202, json={"jobs": [accepted()]})).submit_many("m", [1, 2])
    with pytest.raises(ValueError, match="one idempotency key for each"):
        client(lambda _: JSON(202)).submit_many("m", [1, 2], idempotency_keys=["a"])


def test_result_is_one_look(client: Driver) -> None:
    result = client(lambda _: JSON(202, json=standing(status="running"))).result("a/../b", wait=1.5)
    assert (result.status, result.done, result.ok) == ("running", False, False)
    assert result.timings.submitted_at == datetime(2026, 11, 20, 10, 0, 0, 250_000, UTC)
    assert client.requests[0].url.raw_path == b"/result/a%2F..%2Fb?wait=1.500"
    with pytest.raises(fc.JobPending):
        _ = result.value


def test_wait_polls_until_the_job_ended(client: Driver) -> None:
    answers = iter([JSON(202, json=standing(status="queued"), headers={"retry-after": "2"}),
                    JSON(200, json=standing())])  # fmt: skip
    assert client(lambda _: next(answers)).wait(fc.Job("a", "queued", "m", "1")).value == {"y": "a"}
    assert client.time.slept == [2.0]  # the first look came back at once: the server could not hold it


def test_wait_gives_up_in_time_and_asks_no_longer_than_it_has(client: Driver) -> None:
    def serve(request: httpx.Request) -> httpx.Response:
        client.time.at += float(request.url.params["wait"])
        return JSON(202, json=standing(status="running"))

    with pytest.raises(fc.JobTimeout, match="running after 40 s") as caught:
        client(serve).wait("a", timeout=40)
    assert caught.value.result.status == "running"
    assert [request.url.params["wait"] for request in client.requests] == ["30.000", "10.000"]
    assert client.time.slept == []


def test_wait_gives_up_in_time_though_the_server_is_away(client: Driver) -> None:
    with pytest.raises(fc.Unavailable):
        client(lambda _: problem(503, retry_after="3")).wait("a", timeout=10)
    assert client.time.at < 1010


def test_a_deadline_bounds_how_long_a_silent_server_is_listened_to(client: Driver) -> None:
    client(lambda _: JSON(200, json=standing())).predict("m", {}, timeout=2)
    client(lambda _: JSON(200, json=standing())).wait("a", timeout=2)
    client(lambda _: JSON(200, json=standing())).wait("a")
    reads = [request.extensions["timeout"]["read"] for request in client.requests]
    assert reads == [3.0, 3.0, 40.0]  # a second of grace; 10 for the answer on top of a long-poll of 30


def test_predict_takes_one_request_when_the_job_ends_in_time(client: Driver) -> None:
    assert client(lambda _: JSON(200, json=standing())).predict("m", {"x": 1}) == {"y": "a"}
    assert len(client.requests) == 1


def test_predict_waits_on_and_raises_what_became_of_the_job(client: Driver) -> None:
    failure = {"reason": "model_error", "message": "boom"}
    answers = iter([JSON(202, json=accepted()), JSON(200, json=standing(status="failed", error=failure))])
    with pytest.raises(fc.JobFailed, match="model_error: boom") as caught:
        client(lambda _: next(answers)).predict("m", {"x": 1})
    assert caught.value.reason == "model_error"
    assert caught.value.result.attempt == 1


@pytest.mark.parametrize(("status", "error"), [("canceled", fc.JobCanceled), ("expired", fc.JobExpired)])
def test_a_job_without_outputs_says_why(client: Driver, status: str, error: type[Exception]) -> None:
    result = client(lambda _: JSON(200, json=standing(status=status))).cancel("a")
    assert (client.requests[0].method, client.requests[0].url.path) == ("POST", "/result/a/cancel")
    with pytest.raises(error):
        result.raise_for_status()


def test_jobs_goes_from_page_to_page(client: Driver) -> None:
    def serve(request: httpx.Request) -> httpx.Response:
        at = int(request.url.params.get("cursor", "0"))
        return JSON(200, json={"jobs": [standing(str(at))], "cursor": str(at + 1) if at < 2 else None})

    found = client(serve).jobs(state="succeeded", since=datetime(2026, 1, 1, tzinfo=UTC), page=1)
    assert [result.job_id for result in found] == ["0", "1", "2"]
    first = dict(client.requests[0].url.params)
    assert first == {"state": "succeeded", "since": "2026-01-01T00:00:00+00:00", "limit": "1"}


@pytest.mark.parametrize(
    ("status", "kind", "error"),
    [
        (400, "invalid-json", fc.InvalidRequest), (401, "unauthorized", fc.Unauthorized),
        (403, "forbidden", fc.Forbidden), (404, "unknown-model", fc.NotFound), (410, "purged", fc.Gone),
        (413, "too-large", fc.InvalidRequest), (415, "unsupported-media-type", fc.InvalidRequest),
        (422, "invalid-input", fc.InvalidRequest), (422, "key-conflict", fc.IdempotencyConflict),
        (500, "internal", fc.ServerError), (302, "moved", fc.ServerError),
    ],
)  # fmt: skip
def test_a_refusal_is_its_own_error_and_is_not_tried_again(
    client: Driver, status: int, kind: str, error: type[fc.ForebayError]
) -> None:
    with pytest.raises(error, match=f"it is {kind}") as caught:
        client(lambda _: problem(status, kind, field="inputs.x")).submit("m", {})
    assert type(caught.value) is error
    assert caught.value.status == status
    assert getattr(caught.value, "field", "inputs.x") == "inputs.x"
    assert len(client.requests) == 1


@pytest.mark.parametrize("body", ["<html>", "[]", "{}", '{"job_id": 1, "status": "queued"}'])
def test_an_answer_of_something_else_is_told(client: Driver, body: Any) -> None:
    with pytest.raises(fc.ForebayError, match="Forebay server"):
        client(lambda _: httpx.Response(200, content=body)).result("a")
