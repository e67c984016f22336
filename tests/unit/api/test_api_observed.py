"""Metrics and documentation."""

from api_driver import BODY, Api

from api.depth import Stalled
from pipelines.store.memory import MemoryStore
from schemas.jobs import Submission


def test_metrics_count_by_model_version_and_outcome(api: Api) -> None:
    api.submit(Idempotency_Key="k")
    api.submit(Idempotency_Key="k")
    api.submit({**BODY, "priority": 1}, Idempotency_Key="k")
    api.client.get("/result/unknown-1")
    text = api.client.get("/metrics").text
    for outcome in ("accepted", "replayed", "conflict"):
        assert f'forebay_api_submissions_total{{model="sum",outcome="{outcome}",version="1"}} 1.0' in text
    assert 'forebay_api_requests_total{route="/predict_async",status="202"} 2.0' in text
    assert 'forebay_api_requests_total{route="/result/{job_id}",status="404"} 1.0' in text
    assert 'forebay_jobs{model="sum",state="queued",version="1"} 1.0' in text
    assert "unknown-1" not in text


def test_openapi_names_every_route_and_its_examples_are_accepted(api: Api) -> None:
    document = api.client.get("/openapi.json").json()
    wanted = {"/predict_async", "/predict_async/batch", "/result/{job_id}", "/result/{job_id}/cancel", "/jobs"}
    assert wanted | {"/healthz", "/readyz", "/metrics"} <= set(document["paths"])
    for path in ("/predict_async", "/predict_async/batch"):
        content = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]
        for example in content["examples"].values():
            assert api.client.post(path, json=example["value"]).status_code == 202


def test_the_documentation_is_a_page_that_loads_nothing(api: Api) -> None:
    answer = api.client.get("/docs")
    assert answer.status_code == 200
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    for told in ("POST /predict_async", "GET /result/{job_id}", "Idempotency-Key", "id='ProblemBody'"):
        assert told in answer.text
    assert "http://" not in answer.text
    assert "https://" not in answer.text
    assert "<script" not in answer.text


def test_every_reference_in_openapi_leads_somewhere(api: Api) -> None:
    document = api.client.get("/openapi.json").json()
    pending = [document]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            if "$ref" in value:
                assert value["$ref"].rsplit("/", 1)[1] in document["components"]["schemas"]
            pending.extend(value.values())
        elif isinstance(value, list):
            pending.extend(value)


class Times:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_jobs_that_wait_while_nothing_of_their_model_runs_are_told() -> None:
    """The dashboard must not be green while every worker is gone."""
    times = Times()
    store = MemoryStore(times)
    stalled = Stalled(store, times, times)
    store.submit([Submission(f"j{n}", "default", "m", "1", b"{}", b"d%d" % n) for n in range(3)])
    assert stalled() is None
    times.now += 90
    told = stalled()
    assert told is not None
    assert "m version 1: 3 jobs queued, the oldest for 90 s, none running" in told
    store.claim_next(["m"], 1, 30.0)
    times.now += 20
    assert stalled() is None, "one of them runs"


def test_a_paused_model_is_not_stalled() -> None:
    times = Times()
    store = MemoryStore(times)
    store.submit([Submission("j", "default", "m", "1", b"{}", b"d")])
    store.pause("m", True)
    times.now += 90
    assert Stalled(store, times, times)() is None
