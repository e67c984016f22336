from typing import Any

import pytest
from api_driver import BODY, Api

BAD = {"model": "sum", "inputs": {"x": [1]}}


def batch(api: Api, jobs: Any, **headers: str) -> Any:
    return api.client.post("/predict_async/batch", json={"jobs": jobs}, headers=headers)


def test_each_entry_is_accepted_or_refused_on_its_own_in_order(api: Api) -> None:
    answer = batch(api, [BODY, BAD, {**BODY, "version": "2"}, 7, {**BODY, "x": 1}, {**BODY, "model": "nope"}])
    assert answer.status_code == 202
    entries = answer.json()["jobs"]
    assert [entry["status"] for entry in entries] == ["queued", 422, "queued", 422, 422, 404]
    assert [entry.get("version") for entry in entries] == ["1", None, "2", None, None, None]
    assert entries[1]["errors"][0]["field"] == "inputs.x"
    assert [api.store.rows["default", entries[i]["job_id"]].version for i in (0, 2)] == ["1", "2"]
    assert api.store.groups == [2]


def test_a_batch_of_nothing_but_mistakes_asks_the_store_nothing(api: Api) -> None:
    assert batch(api, [BAD, BAD]).status_code == 202
    assert api.store.groups == []


def test_keys_within_and_across_batches(api: Api) -> None:
    keyed = {**BODY, "idempotency_key": "a"}
    first = batch(api, [keyed, keyed, {**keyed, "priority": 1}]).json()["jobs"]
    again = batch(api, [keyed]).json()["jobs"]
    assert first[0]["job_id"] == first[1]["job_id"] == again[0]["job_id"]
    assert first[2]["type"] == "/problems/key-conflict"


@pytest.mark.parametrize("jobs", [[], [BODY] * 1001, "x", None])
def test_the_count_is_limited(api: Api, jobs: Any) -> None:
    answer = batch(api, jobs)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "jobs"


def test_a_thousand_jobs_are_one_transaction(api: Api) -> None:
    entries = batch(api, [BODY] * 1000).json()["jobs"]
    assert len({entry["job_id"] for entry in entries}) == 1000
    assert api.store.groups == [1000]


def test_a_key_for_the_whole_batch_is_refused(api: Api) -> None:
    answer = batch(api, [BODY], **{"idempotency-key": "k"})
    assert answer.status_code == 400
    assert not api.store.rows


@pytest.mark.parametrize("bad", [b"\xff", b"\\ud800", b"\\u0000"])
def test_text_that_is_none_spoils_no_neighbour(api: Api, bad: bytes) -> None:
    good = b'{"model":"sum","inputs":{"x":[1,2,3]}}'
    content = b'{"jobs":[' + good + b',{"model":"sum","inputs":{"x":[1,2,3]},"metadata":{"a":"' + bad + b'"}}]}'
    answer = api.client.post("/predict_async/batch", content=content, headers={"content-type": "application/json"})
    if answer.status_code == 202:
        assert [isinstance(entry["status"], int) for entry in answer.json()["jobs"]] == [False, True]
    else:  # what is not even JSON has no entries
        assert answer.status_code == 400
        assert not api.store.rows
