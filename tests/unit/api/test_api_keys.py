import hashlib

import pytest
from api_driver import BODY, Api, Start

KEYS = {hashlib.sha256(key.encode()).hexdigest(): tenant for key, tenant in (("key-a", "a"), ("key-b", "b"))}


@pytest.fixture
def api(start: Start) -> Api:
    return start(keys=KEYS)


@pytest.mark.parametrize(
    "path", ["/predict_async", "/predict_async/batch", "/result/x", "/jobs", "/metrics", "/docs", "/openapi.json", "/x"]
)
def test_every_route_needs_a_key(api: Api, path: str) -> None:
    for headers in ({}, {"x-api-key": "wrong"}, {"authorization": "Bearer "}, {"authorization": "Basic key-a"}):
        answer = api.client.get(path, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert answer.headers["content-type"] == "application/problem+json"
    assert api.client.get(path, headers={"x-api-key": "key-a"}).status_code != 401


def test_health_needs_none(api: Api) -> None:
    assert api.client.get("/healthz").status_code == 200
    assert api.client.get("/readyz").status_code == 200


def test_no_tenant_sees_anothers_jobs(api: Api) -> None:
    a, b = {"authorization": "bearer key-a"}, {"x-api-key": "key-b"}
    keyed = {"idempotency-key": "same"}
    id = api.client.post("/predict_async", json=BODY, headers={**a, **keyed}).json()["job_id"]
    other = api.client.post("/predict_async", json=BODY, headers={**b, **keyed}).json()["job_id"]
    assert id != other
    assert api.client.get(f"/result/{id}", headers=a).status_code == 202
    assert api.client.get(f"/result/{id}", headers=b).status_code == 404
    assert api.client.get(f"/result/{id}?wait=60", headers=b).status_code == 404
    assert api.client.post(f"/result/{id}/cancel", headers=b).status_code == 404
    assert [job["job_id"] for job in api.client.get("/jobs", headers=b).json()["jobs"]] == [other]
