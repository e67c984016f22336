"""Scoring runs: what goes out, and what becomes of what comes back."""

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from client_driver import Driver, body_of, problem

import forebay_client as fc

JSON = httpx.Response
ASKED = ("m", "s3://lake/in", "s3://lake/out")


def accepted(run_id: str = "a", status: str = "queued") -> dict[str, Any]:
    link = f"/scoring_runs/{run_id}"
    return {"run_id": run_id, "status": status, "links": {"self": link, "cancel": f"{link}/cancel"}}


def standing(run_id: str = "a", status: str = "succeeded", **more: Any) -> dict[str, Any]:
    return {
        **accepted(run_id, status), "model": "m", "version": "3", "input": ASKED[1], "output": ASKED[2], "cancel_asked": False,
        "progress": {"rows": 5, "rows_total": 10, "parts": 1, "parts_total": 2, "rejected": 0, "later": 1}, "attempts": 2,
        "timings": {"submitted_at": "2026-11-20T10:00:00Z"}, "later": {}, **more,
    }  # fmt: skip


def test_score_sends_what_was_asked_for_and_no_more(client: Driver) -> None:
    options = {
        "where": "x > 1",
        "columns": {"x": ("a", "b")},
        "passthrough": ("id",),
        "max_rejects": 0.0,
        "overwrite": True,
    }
    run = client(lambda _: JSON(202, json=accepted())).score(*ASKED, run_id="a", version="production", **options)
    sent = client.requests[0]
    assert (sent.method, sent.url.path) == ("POST", "/scoring_runs")
    assert body_of(sent) == {
        "run_id": "a", "model": "m", "input": ASKED[1], "output": ASKED[2], "version": "production", "where": "x > 1",
        "columns": {"x": ["a", "b"]}, "passthrough": ["id"], "max_rejects": 0.0, "overwrite": True,
    }  # fmt: skip
    assert (run.run_id, run.status, run.model, run.output, run.version) == ("a", "queued", "m", ASKED[2], None)
    assert run.links["cancel"] == "/scoring_runs/a/cancel"


def test_a_lost_answer_is_asked_for_again_with_the_same_id(client: Driver) -> None:
    answers = iter([problem(503), JSON(202, json=accepted())])
    client(lambda _: next(answers)).score(*ASKED)
    one, two = (body_of(request) for request in client.requests)
    assert one == two
    assert len(one["run_id"]) == 36


def test_a_run_that_succeeded_before_is_there_at_once(client: Driver) -> None:
    summary = {"rows": 9, "rejected": 1, "parts": 2, "seconds": 1.5, "manifest": "_forebay/a.json", "later": 1}
    run = client(lambda _: JSON(200, json=standing(summary=summary))).score(*ASKED, run_id="a")
    assert run.raise_for_status() is run
    assert run.summary == fc.ScoringSummary(9, 1, 2, 1.5, "_forebay/a.json")
    assert (run.progress, run.attempts, run.version) == (fc.ScoringProgress(5, 10, 1, 2, 0), 2, "3")
    assert run.timings.submitted_at == datetime(2026, 11, 20, 10, tzinfo=UTC)


def test_another_request_of_the_same_id_is_a_conflict(client: Driver) -> None:
    with pytest.raises(fc.IdempotencyConflict):
        client(lambda _: problem(422, "run-conflict", field="where")).score(*ASKED, run_id="a")


def test_a_location_that_is_not_allowed(client: Driver) -> None:
    with pytest.raises(fc.Forbidden):
        client(lambda _: problem(403, "location-refused", field="input")).score(*ASKED)


@pytest.mark.parametrize(
    "options", [{"passthrough": "id"}, {"max_rejects": float("nan")}, {"columns": {"x": [object()]}}]
)
def test_what_is_no_request_is_not_sent(client: Driver, options: dict[str, Any]) -> None:
    with pytest.raises(fc.InvalidRequest):
        client(lambda _: JSON(202, json=accepted())).score(*ASKED, **options)
    assert client.requests == []


def test_one_look(client: Driver) -> None:
    run = client(lambda _: JSON(202, json=standing(status="running"))).scoring_run("a/../b", wait=1.5)
    assert (run.status, run.done, run.ok) == ("running", False, False)
    assert client.requests[0].url.raw_path == b"/scoring_runs/a%2F..%2Fb?wait=1.500"
    with pytest.raises(fc.ScoringRunPending):
        run.raise_for_status()


def test_waiting_until_it_ended(client: Driver) -> None:
    failure = {"reason": "bad_input", "message": "no column x"}
    answers = iter([JSON(202, json=standing(status="running"), headers={"retry-after": "2"}),
                    JSON(200, json=standing(status="failed", error=failure))])  # fmt: skip
    run = client(lambda _: next(answers)).wait_scoring_run("a")
    assert client.time.slept == [2.0]
    with pytest.raises(fc.ScoringRunFailed, match="scoring run a failed: bad_input: no column x") as caught:
        run.raise_for_status()
    assert (caught.value.reason, caught.value.run) == ("bad_input", run)


def test_waiting_gives_up_in_time(client: Driver) -> None:
    def serve(request: httpx.Request) -> httpx.Response:
        client.time.at += float(request.url.params["wait"])
        return JSON(202, json=standing(status="running"))

    with pytest.raises(fc.ScoringRunTimeout, match="scoring run a is running after 40 s") as caught:
        client(serve).wait_scoring_run("a", timeout=40)
    assert caught.value.run.status == "running"


def test_cancel(client: Driver) -> None:
    asked = client(lambda _: JSON(200, json=standing(status="running", cancel_asked=True))).cancel_scoring_run("a")
    assert (asked.status, asked.cancel_asked) == ("running", True)
    assert (client.requests[0].method, client.requests[0].url.path) == ("POST", "/scoring_runs/a/cancel")
    canceled = client(lambda _: JSON(200, json=standing(status="canceled"))).cancel_scoring_run(asked)
    with pytest.raises(fc.ScoringRunCanceled):
        canceled.raise_for_status()


def test_listing_goes_from_page_to_page(client: Driver) -> None:
    def serve(request: httpx.Request) -> httpx.Response:
        at = int(request.url.params.get("cursor", "0"))
        return JSON(200, json={"runs": [standing(str(at))], "cursor": str(at + 1) if at < 2 else None})

    assert [run.run_id for run in client(serve).scoring_runs(state="succeeded", page=1)] == ["0", "1", "2"]
    assert dict(client.requests[0].url.params) == {"state": "succeeded", "limit": "1"}


def test_listing_asks_for_what_is_wanted(client: Driver) -> None:
    since, until = datetime(2026, 11, 20, tzinfo=UTC), datetime(2026, 11, 21, tzinfo=UTC)
    runs = client(lambda _: JSON(200, json={"runs": [], "cursor": None}))
    assert list(runs.scoring_runs(model="m", version="3", since=since, until=until)) == []
    assert dict(client.requests[0].url.params) == {
        "model": "m", "version": "3", "since": "2026-11-20T00:00:00+00:00", "until": "2026-11-21T00:00:00+00:00",
        "limit": "100",
    }  # fmt: skip


@pytest.mark.parametrize("body", ["<html>", "[]", "{}", '{"run_id": 1, "status": "queued"}'])
def test_an_answer_of_something_else_is_told(client: Driver, body: str) -> None:
    with pytest.raises(fc.ForebayError, match="Forebay server"):
        client(lambda _: httpx.Response(200, content=body)).scoring_run("a")
