import uuid

import pytest
from api_driver import BODY, Api, Start, until
from api_fakes import FakeOutlet

from schemas.states import State


def test_a_submission_is_committed_and_answered_with_links(api: Api) -> None:
    answer = api.submit()
    assert answer.status_code == 202
    body = answer.json()
    id = body["job_id"]
    assert uuid.UUID(id).version == 7
    assert body == {
        "job_id": id,
        "status": "queued",
        "model": "sum",
        "version": "1",
        "links": {"self": f"/result/{id}", "result": f"/result/{id}", "cancel": f"/result/{id}/cancel"},
    }
    assert answer.headers["location"] == f"/result/{id}"
    assert answer.headers["retry-after"] == "1"
    row = api.store.submitted[id]
    assert row.inputs == b'{"x":[1.0,2.0,3.0]}'
    assert row.priority == 5
    assert api.notices.works == 1


def test_options_reach_the_row(api: Api) -> None:
    trace = f"00-{'a' * 32}-{'b' * 16}-01"
    body = {**BODY, "version": "2", "priority": 9, "expires_in": 1.5, "metadata": {"k": "é"}}
    row = api.store.submitted[api.submit(body, traceparent=trace).json()["job_id"]]
    assert (row.version, row.priority, row.expires_in, row.traceparent) == ("2", 9, 1.5, trace)
    assert row.metadata == '{"k":"é"}'.encode()


@pytest.mark.parametrize("trace", ["x", f"00-{'0' * 32}-{'b' * 16}-01", f"ff-{'a' * 32}-{'b' * 16}-01"])
def test_a_malformed_traceparent_is_ignored(api: Api, trace: str) -> None:
    row = api.store.submitted[api.submit(traceparent=trace).json()["job_id"]]
    assert row.traceparent is None


def test_the_same_key_and_body_is_the_same_job(api: Api) -> None:
    first, again = (api.submit(Idempotency_Key="k-1") for _ in range(2))
    assert first.json() == again.json()
    assert again.status_code == 202
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    assert len(api.store.rows) == 1


def test_the_same_key_with_another_body_is_refused(api: Api) -> None:
    api.submit(Idempotency_Key="k-1")
    answer = api.submit({**BODY, "priority": 1}, Idempotency_Key="k-1")
    assert answer.status_code == 422
    assert answer.json()["type"] == "/problems/key-conflict"


@pytest.mark.parametrize("key", ["", "a b", "x" * 256])
def test_a_bad_key_is_refused(api: Api, key: str) -> None:
    assert api.submit(Idempotency_Key=key).status_code == 400


def test_preferring_to_wait_answers_the_result_of_a_job_that_ended(api: Api) -> None:
    id = api.submit(Idempotency_Key="k").json()["job_id"]
    api.store.end(id)
    answer = api.submit(Idempotency_Key="k", Prefer="wait=5")
    assert answer.status_code == 200
    assert answer.json()["result"] == {"y": 6.0}
    assert answer.headers["preference-applied"] == "wait=5"
    assert answer.headers["idempotent-replayed"] == "true"


def test_preferring_to_wait_answers_202_when_the_time_is_over(api: Api) -> None:
    answer = api.submit(Prefer="respond-async, wait=0.01")
    assert answer.status_code == 202
    assert answer.json()["status"] == "queued"
    assert answer.headers["preference-applied"] == "wait=0.01"


@pytest.mark.parametrize("wait", ["-1", "abc", "", "1e3", "nan"])
def test_a_bad_wait_is_refused(api: Api, wait: str) -> None:
    assert api.submit(Prefer=f"wait={wait}").status_code == 400
    assert not api.store.rows


def test_a_committed_row_is_sent_and_stamped(start: Start) -> None:
    outlet = FakeOutlet()
    api = start(outlet=outlet)
    id = api.submit().json()["job_id"]
    assert outlet.called.wait(5)
    assert [message.id for message in outlet.sent] == [id]
    start.close()  # which ends what the sender had begun
    assert api.store.stamped == [id]


def test_a_broker_that_is_away_costs_no_202(start: Start) -> None:
    outlet = FakeOutlet()
    outlet.up = False
    api = start(outlet=outlet)
    answer = api.submit()
    assert answer.status_code == 202
    assert outlet.called.wait(5)
    until(lambda: bool(api.client.get("/readyz").json()["degraded"]))
    until(lambda: api.store.left == [answer.json()["job_id"]])
    assert not api.store.stamped
    assert api.client.get("/readyz").status_code == 200


def test_readiness_says_why_the_broker_does_not_confirm(start: Start) -> None:
    outlet = FakeOutlet()
    outlet.up = False
    api = start(outlet=outlet, broker_fault=lambda: "sqs: queue 'jobs': there is no such queue")
    api.submit()
    until(lambda: bool(api.client.get("/readyz").json()["degraded"]))
    told = "broker: sqs: queue 'jobs': there is no such queue; jobs are taken, sweeping sends them"
    assert api.client.get("/readyz").json()["degraded"] == [told]


def test_a_full_queue_refuses_with_429(start: Start) -> None:
    api = start(queued=1)
    statuses = []
    while 429 not in statuses:  # the count is read in the background
        assert len(statuses) < 100
        answer = api.submit()
        statuses.append(answer.status_code)
    assert answer.headers["retry-after"]
    assert answer.json()["type"] == "/problems/overloaded"
    assert all(view.state is State.QUEUED for view in api.store.rows.values())
