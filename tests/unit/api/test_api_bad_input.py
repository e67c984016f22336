"""Every bad request gets a clear 4xx problem, and nothing is stored."""

import json
from typing import Any
from urllib.parse import quote

import pytest
from api_driver import BODY, Api, Start
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

GOOD = b'"inputs":{"x":[1,2,3]}'


def refused(api: Api, content: bytes, **headers: str) -> Any:
    named = {"content-type": "application/json", **{k.replace("_", "-"): v for k, v in headers.items()}}
    answer = api.client.post("/predict_async", content=content, headers=named)
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == answer.status_code
    assert problem["title"]
    assert problem["detail"]
    assert "\n" not in problem["detail"]
    assert not api.store.rows
    return problem


@pytest.mark.parametrize(
    ("content", "status", "kind"),
    [
        (b"", 400, "invalid-json"),
        (b"{", 400, "invalid-json"),
        (b"\xff\xfe", 400, "invalid-json"),
        (b"[" * 100_000, 422, "invalid-body"),
        (b'{"model":"sum","inputs":' + b"[" * 100_000, 400, "invalid-json"),
        (b'{"model":"sum","inputs":{"x":[NaN,1,2]}}', 400, "invalid-json"),
        (b'{"model":"sum","inputs":{"x":[Infinity,1,2]}}', 400, "invalid-json"),
        (b'{"model":"\xff",' + GOOD + b"}", 400, "invalid-json"),
        (b'{"model":"sum","inputs":{"x":[1,2,3],"\xff":1}}', 400, "invalid-json"),
        (b'{"model":"sum","inputs":{"x":"\\ud800"}}', 400, "invalid-json"),
        (b'{"model":"sum","metadata":{"a":"\\udc00"},' + GOOD + b"}", 400, "invalid-json"),
        (b'{"model":"sum","metadata":{"a":"\\u0000"},' + GOOD + b"}", 422, "invalid-body"),
        (b'{"model":"sum","metadata":{"\\u0000":1},' + GOOD + b"}", 422, "invalid-body"),
        (b"[]", 422, "invalid-body"),
        (b"null", 422, "invalid-body"),
        (b'{"model":"sum"}', 422, "invalid-body"),
        (b'{"model":1,' + GOOD + b"}", 422, "invalid-body"),
        (b'{"model":"sum","version":1,' + GOOD + b"}", 422, "invalid-body"),
        (b'{"model":"sum","surprise":1,' + GOOD + b"}", 422, "invalid-body"),
        (b'{"model":"sum","idempotency_key":"k",' + GOOD + b"}", 422, "invalid-body"),
        (b'{"model":"sum","priority":-1,' + GOOD + b"}", 422, "invalid-body"),
        (b'{"model":"sum","priority":10,' + GOOD + b"}", 422, "invalid-body"),
        (b'{"model":"sum","priority":1.5,' + GOOD + b"}", 422, "invalid-body"),
        (b'{"model":"sum","priority":' + b"9" * 5000 + b"," + GOOD + b"}", 422, "invalid-body"),
        (b'{"model":"sum","expires_in":0,' + GOOD + b"}", 422, "invalid-body"),
        (b'{"model":"sum","expires_in":-5,' + GOOD + b"}", 422, "invalid-body"),
        (b'{"model":"sum","expires_in":1e300,' + GOOD + b"}", 422, "invalid-body"),
        (b'{"model":"sum","expires_in":1e999,' + GOOD + b"}", 422, "invalid-body"),
        (b'{"model":"sum","metadata":[],' + GOOD + b"}", 422, "invalid-body"),
        (b'{"model":"sum","metadata":{"a":"' + b"a" * 16384 + b'"},' + GOOD + b"}", 422, "invalid-body"),
        (b'{"model":"sum","metadata":{"a":' + b"[" * 65 + b"]" * 65 + b"}," + GOOD + b"}", 422, "invalid-body"),
        (b'{"model":"sum","metadata":{"a":' + b"9" * 5000 + b"}," + GOOD + b"}", 422, "invalid-body"),
        (b'{"model":"sum","webhook":"https://example.com/",' + GOOD + b"}", 422, "not-available"),
        (b'{"model":"nope",' + GOOD + b"}", 404, "unknown-model"),
        (b'{"model":"\\u0000",' + GOOD + b"}", 422, "invalid-body"),
        (b'{"model":"' + b"a" * 100_000 + b'",' + GOOD + b"}", 404, "unknown-model"),
        (b'{"model":"../sum",' + GOOD + b"}", 404, "unknown-model"),
        (b'{"model":"sum","version":"9",' + GOOD + b"}", 404, "unknown-model"),
        (b'{"model":"sum","version":"../1",' + GOOD + b"}", 404, "unknown-model"),
        (b'{"model":"sum","inputs":{}}', 422, "invalid-input"),
        (b'{"model":"sum","inputs":{"x":[1,2]}}', 422, "invalid-input"),
        (b'{"model":"sum","inputs":{"x":[1,2,3],"z":1}}', 422, "invalid-input"),
        (b'{"model":"sum","inputs":{"x":"abc"}}', 422, "invalid-input"),
        (b'{"model":"sum","inputs":{"x":[1e999,1,2]}}', 422, "invalid-input"),
        (b'{"model":"sum","inputs":{"x":' + b"[" * 500 + b"]" * 500 + b"}}", 422, "invalid-input"),
    ],
)
def test_it_is_refused_and_nothing_is_stored(api: Api, content: bytes, status: int, kind: str) -> None:
    problem = refused(api, content)
    assert (problem["status"], problem["type"]) == (status, f"/problems/{kind}")


@pytest.mark.parametrize(
    ("content", "field"),
    [
        (b'{"model":"sum","priority":-1,' + GOOD + b"}", "priority"),
        (b'{"model":"sum"}', "inputs"),
        (b'{"model":"sum","surprise":1,' + GOOD + b"}", "surprise"),
        (b'{"model":"nope",' + GOOD + b"}", "model"),
    ],
)
def test_the_field_is_named(api: Api, content: bytes, field: str) -> None:
    assert [error["field"] for error in refused(api, content)["errors"]] == [field]


@pytest.mark.parametrize(
    "headers",
    [
        {"content_type": "text/plain"},
        {"content_type": "application/json; charset=latin-1"},
        {"content_type": "application/json, text/plain"},
        {"content_encoding": "gzip"},
    ],
)
def test_other_media_are_refused(api: Api, headers: dict[str, str]) -> None:
    assert refused(api, b'{"model":"sum",' + GOOD + b"}", **headers)["status"] == 415


def test_a_doubled_content_type_is_refused(api: Api) -> None:
    headers = [("content-type", "application/json"), ("content-type", "text/plain")]
    answer = api.client.post("/predict_async", content=b"{}", headers=headers)
    assert answer.status_code == 400


def test_an_escaped_backslash_before_u0000_is_no_nul(api: Api) -> None:
    body = b'{"model":"sum","metadata":{"a":"\\\\u0000"},' + GOOD + b"}"
    answer = api.client.post("/predict_async", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 202


@pytest.mark.parametrize("path", ["/predict_async", "/predict_async/batch"])
def test_a_body_over_the_limit_is_refused(start: Start, path: str) -> None:
    api = start(body=100)
    answer = api.client.post(path, content=b" " * 101, headers={"content-type": "application/json"})
    assert answer.status_code == 413
    assert answer.headers["connection"] == "close"


@pytest.mark.parametrize("path", ["/nowhere", "/predict_async/", "/problems", "/result/", "/result/a/b/c"])
def test_unknown_paths_are_problems(api: Api, path: str) -> None:
    answer = api.client.get(path)
    assert answer.status_code == 404
    assert answer.json()["status"] == 404
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/predict_async"), ("DELETE", "/result/x"), ("PUT", "/jobs"), ("GET", "/result/x/cancel")],
)
def test_other_methods_are_problems(api: Api, method: str, path: str) -> None:
    answer = api.client.request(method, path)
    assert answer.status_code == 405
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["allow"]


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
json_values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))
fields = st.sampled_from(["model", "version", "inputs", "priority", "expires_in", "metadata", "webhook", "jobs"])
wild = st.dictionaries(fields, json_values | st.just("sum") | st.just(BODY["inputs"]) | st.lists(st.just(BODY)))


@pytest.mark.parametrize("path", ["/predict_async", "/predict_async/batch"])
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=wild | json_values)
def test_no_json_gives_a_5xx(api: Api, path: str, body: Any) -> None:
    content = json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass")
    answer = api.client.post(path, content=content, headers={"content-type": "application/json"})
    assert answer.status_code < 500


@pytest.mark.parametrize("path", ["/predict_async", "/predict_async/batch"])
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=200))
def test_no_bytes_give_a_5xx(api: Api, path: str, content: bytes) -> None:
    answer = api.client.post(path, content=content, headers={"content-type": "application/json"})
    assert 400 <= answer.status_code < 500


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    query=st.dictionaries(
        st.sampled_from(["state", "model", "version", "since", "until", "limit", "cursor", "wait"]),
        st.text(max_size=40),
    )
)
def test_no_query_gives_a_5xx(api: Api, query: dict[str, str]) -> None:
    for path in ("/jobs", "/result/x"):
        assert api.client.get(path, params=query).status_code < 500


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(id=st.text(min_size=1, max_size=200))
def test_no_id_gives_a_5xx(api: Api, id: str) -> None:
    for path in (f"/result/{quote(id, safe='')}", f"/result/{quote(id, safe='')}/cancel"):
        assert 400 <= api.client.get(path).status_code < 500
        assert 400 <= api.client.post(path).status_code < 500


@pytest.mark.parametrize(
    ("path", "body", "told"),
    [
        (
            "/predict_async",
            {"model": "sum", "input": {"x": [1, 2, 3]}},
            "unknown field `input`; did you mean `inputs`?",
        ),
        ("/predict_async", {**BODY, "expires": 5}, "unknown field `expires`; did you mean `expires_in`?"),
        ("/predict_async/batch", {"job": []}, "unknown field `job`; did you mean `jobs`?"),
        ("/predict_async", {**BODY, "surprise": 5}, "unknown field `surprise`"),
        ("/predict_async", {**BODY, "surprise" * 99: 5}, "unknown field `surprise"),
    ],
)
def test_an_unknown_field_is_told_what_was_meant(start: Start, path: str, body: Any, told: str) -> None:
    detail = start().client.post(path, json=body).json()["detail"]
    assert told in detail
    assert ("did you mean" in detail) == ("did you mean" in told)
