"""The stand-in answers as Forebay does: the same requests to both."""

import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from conftest import LAKE
from service import Service
from standin import KEY, stand_in

TYPES = {"application/json", "application/problem+json"}


@pytest.fixture(params=["stand-in", "forebay"])
def api(request: pytest.FixtureRequest) -> Iterator[httpx.Client]:
    headers = {"authorization": f"Bearer {KEY}"}
    if request.param == "stand-in":
        with stand_in() as there, httpx.Client(base_url=there.url, headers=headers) as client:
            yield client
    else:
        service: Service = request.getfixturevalue("service")
        with service.slow(), httpx.Client(base_url=service.url, headers=headers) as client:
            yield client


@pytest.fixture
def order() -> dict[str, Any]:
    name = f"contract-{uuid.uuid4().hex[:8]}"
    return {"run_id": name, "model": "digits", "input": f"{LAKE}/features/dt=2026-01-20", "output": f"{LAKE}/{name}"}


def answer(of: httpx.Response) -> tuple[int, Any]:
    """With its status, or the kind of its problem."""
    assert of.headers["content-type"] in TYPES
    body = of.json()
    return of.status_code, body["status"] if of.status_code < 400 else body["type"].rpartition("/")[2]


def test_from_the_order_to_its_end(api: httpx.Client, order: dict[str, Any]) -> None:
    run = f"/scoring_runs/{order['run_id']}"
    assert answer(api.get(run)) == (404, "unknown-run")
    assert answer(api.post(f"{run}/cancel")) == (404, "unknown-run")
    submitted = api.post("/scoring_runs", json=order)
    assert (submitted.status_code, submitted.json()["links"]["self"]) == (202, run)
    assert submitted.json().keys() == {"run_id", "status", "links"}
    status, _ = answer(api.get(run))
    assert status == 202
    assert answer(api.post("/scoring_runs", json=order))[0] == 202
    assert answer(api.post("/scoring_runs", json=order | {"where": "id > 1"})) == (422, "run-conflict")
    assert api.post(f"{run}/cancel").status_code == 200
    assert answer(api.get(run, params={"wait": "30"}, timeout=40)) in {(200, "canceled"), (200, "succeeded")}


def test_what_is_told_of_a_run(api: httpx.Client, order: dict[str, Any]) -> None:
    api.post("/scoring_runs", json=order)
    told = api.get(f"/scoring_runs/{order['run_id']}").json()
    assert told["run_id"] == order["run_id"]
    assert told["progress"].keys() == {"rows", "rows_total", "parts", "parts_total", "rejected"}
    assert told.keys() >= {"status", "attempts", "timings"}
    api.post(f"/scoring_runs/{order['run_id']}/cancel")


def test_without_the_key(api: httpx.Client) -> None:
    refused = httpx.get(f"{api.base_url}/scoring_runs/a", headers={"authorization": "Bearer of another"})
    assert answer(refused) == (401, "unauthorized")
