"""Jobs that another service put on the queue: each has a row then, living or dead, and a repeated delivery has the same."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipelines.admission import Admission
from pipelines.admission.direct import Adopted, Adopter, Direct
from pipelines.catalog import Catalog, ModelVersion, ServedModel
from pipelines.ports import Message
from pipelines.queues.envelopes import Origin, decode
from pipelines.store.opening import open_store
from pipelines.store.sql import SqlStore
from schemas.jobs import JobFilter, JobView
from schemas.model_spec import ModelSpec, TensorSpec
from schemas.positions import IDS
from schemas.reasons import Reason
from schemas.states import State
from schemas.strays import Stray
from schemas.verdicts import Done

SPEC = ModelSpec(
    name="sum",
    inputs=(TensorSpec(name="x", dtype="float32", shape=(2,)),),
    outputs=(TensorSpec(name="y", dtype="float32"),),
    aliases={"production": 1},
)
CATALOG = Catalog(
    Path(), {"sum": ServedModel(SPEC, {"1": ModelVersion("sum", "1", Path("sum/1"), SPEC, "onnx", {}, {})})}, []
)
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
GOOD = {"model": "sum", "inputs": {"x": [1, 2]}}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlStore]:
    store = open_store(f"sqlite:///{tmp_path}/store.db", broker=True)
    yield store
    store.close()


@pytest.fixture
def adopter(store: SqlStore) -> Adopter:
    return Adopter(store, Admission(CATALOG), "team")


def direct(body: Any, position: str = "0@1", **headers: str) -> Direct:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    carried = tuple((name, value.encode()) for name, value in headers.items())
    found = decode(raw, lambda: Origin("jobs", position, f"jobs-{position}", None, carried))
    assert isinstance(found, Direct)
    return found


def adopt(adopter: Adopter, *directs: Direct) -> list[Adopted]:
    return list(adopter.adopt(directs))


def view(store: SqlStore, message: Adopted) -> JobView:
    assert isinstance(message, Message)
    found = store.read("team", [message.id])[message.id]
    assert isinstance(found, JobView)
    return found


def test_a_job_has_the_row_that_the_api_would_have_made(store: SqlStore, adopter: Adopter) -> None:
    body = {**GOOD, "id": "order-1", "priority": 9, "expires_in": 60, "metadata": {"a": 1}, "idempotency_key": "k"}
    (message,) = adopt(adopter, direct(body, traceparent=TRACE))
    assert message == Message("order-1", 0, model="sum", tenant="team")
    seen = view(store, message)
    assert (seen.state, seen.model, seen.version, seen.priority) == (State.QUEUED, "sum", "1", 9)
    assert seen.deadline_at == pytest.approx(seen.timings.submitted_at + 60)
    assert seen.metadata == b'{"a": 1}'
    assert seen.origin == "jobs-0@1"
    claims, _ = store.claim([message], ["sum"], 30)
    assert [(claim.inputs, claim.traceparent) for claim in claims] == [(b'{"x": [1, 2]}', TRACE)]


def test_without_an_id_a_repeated_delivery_is_the_same_job(store: SqlStore, adopter: Adopter) -> None:
    (first,) = adopt(adopter, direct(GOOD))
    again, other = adopt(adopter, direct(GOOD), direct(GOOD, "0@2"))
    assert isinstance(first, Message)
    assert again == first
    assert other != first
    assert len(store.list_jobs("team", JobFilter(), 10).items) == 2


def test_ids_of_positions_never_change() -> None:
    assert str(IDS) == "8f0f6b6c-5a3c-5a0e-9d5f-1f6b0f0e2b11"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"model": "sum"}, "inputs"),
        ({"model": "sum", "inputs": {"x": [1]}}, "inputs.x"),
        ({"model": "sum", "inputs": {"x": [1, None]}}, "inputs.x"),
        ({"model": "none", "inputs": {}}, "no model 'none'; there are: sum"),
        ({"model": "sum", "version": "7", "inputs": {"x": [1, 2]}}, "has no version '7'"),
        ({"model": "sum", "version": ["7"], "inputs": {"x": [1, 2]}}, "version"),
        ({**GOOD, "tenant": "others"}, "tenant"),
        ({**GOOD, "priority": 11}, "priority"),
        ({**GOOD, "id": "a b"}, "id: expected 1 to 128"),
        ({**GOOD, "id": 7}, "id"),
        ({**GOOD, "webhook": "http://x"}, "webhook"),
        (b'{"model":"sum","inputs":{"x":[1,2]},"metadata":{"a":"\\u0000"}}', "U+0000"),
    ],
)
def test_what_the_api_would_refuse_is_a_job_that_is_dead(
    store: SqlStore, adopter: Adopter, body: Any, told: str
) -> None:
    (message,) = adopt(adopter, direct(body))
    assert isinstance(message, Message)
    assert message.doom is not None
    assert message.doom.reason is Reason.INVALID_INPUT
    assert told in message.doom.error
    assert "\n" not in message.doom.error
    assert view(store, message).state is State.QUEUED  # until its claim is recorded


def test_its_own_id_stays_when_something_else_is_wrong(store: SqlStore, adopter: Adopter) -> None:
    (message,) = adopt(adopter, direct({"model": "sum", "id": "order-2", "inputs": {"x": 1}}))
    assert isinstance(message, Message)
    assert message.id == "order-2"
    assert view(store, message).version == "1"


def test_an_id_of_another_job_is_told_and_touches_it_not(store: SqlStore, adopter: Adopter) -> None:
    (first,) = adopt(adopter, direct({**GOOD, "id": "a"}))
    (second,) = adopt(adopter, direct({**GOOD, "id": "a", "priority": 1}, "0@2"))
    assert isinstance(second, Message)
    assert second.id != "a"
    assert second.doom is not None
    assert second.doom.error == "id: belongs to job a, which was submitted with another body"
    assert view(store, first).priority == 5


def test_a_key_of_another_job_is_told_and_the_same_job_is_the_same(store: SqlStore, adopter: Adopter) -> None:
    (first,) = adopt(adopter, direct({**GOOD, "idempotency_key": "k"}))
    same, other = adopt(
        adopter,
        direct({**GOOD, "idempotency_key": "k"}, "0@2"),
        direct({**GOOD, "idempotency_key": "k", "priority": 1}, "0@3"),
    )
    assert isinstance(first, Message)
    assert isinstance(other, Message)
    assert same == first
    assert other.doom is not None
    assert other.doom.error.startswith(f"idempotency_key: belongs to job {first.id}")
    assert other.id != first.id


def test_a_topic_made_anew_counts_from_0_and_its_jobs_are_new(store: SqlStore, adopter: Adopter) -> None:
    (before,) = adopt(adopter, direct(GOOD))
    anew = direct({"model": "sum", "inputs": {"x": [3, 4]}})
    (after,) = adopt(adopter, anew)
    assert isinstance(after, Message)
    assert after != before
    assert after.doom is None
    assert adopt(adopter, anew) == [after]


def test_an_unknown_field_is_told_what_was_meant(adopter: Adopter) -> None:
    (message,) = adopt(adopter, direct({"model": "sum", "input": {"x": [1, 2]}}))
    assert isinstance(message, Message)
    assert message.doom is not None
    assert message.doom.error.endswith("unknown field `input`; did you mean `inputs`?")


def test_a_late_delivery_of_a_job_that_was_purged_runs_nothing(store: SqlStore, adopter: Adopter) -> None:
    late, named = direct(GOOD), direct({**GOOD, "id": "order-1"}, "0@2")
    run_and_purge(store, adopt(adopter, late, named))
    settled, told = adopt(adopter, late, named)
    assert isinstance(settled, Message)
    claims, refused = store.claim([settled], ["sum"], 30)
    assert (claims, [refusal.over for refusal in refused]) == ([], [True])
    assert isinstance(told, Stray)
    assert told.error == "no job was made of it: job order-1 was purged"
    assert store.list_jobs("team", JobFilter(), 10).items == []


def test_a_topic_made_anew_has_new_jobs_where_others_were_purged(store: SqlStore, adopter: Adopter) -> None:
    run_and_purge(store, adopt(adopter, direct(GOOD)))
    anew = direct({"model": "sum", "inputs": {"x": [3, 4]}})
    (after,) = adopt(adopter, anew)
    assert view(store, after).state is State.QUEUED
    run_and_purge(store, [after])
    adopt(adopter, anew)
    assert store.list_jobs("team", JobFilter(), 10).items == []


def run_and_purge(store: SqlStore, messages: list[Adopted]) -> None:
    claims, _ = store.claim([message for message in messages if isinstance(message, Message)], ["sum"], 30)
    assert len(store.record([(claim, Done(b"1")) for claim in claims])) == len(messages)
    store.sweep(0.0, 1e9)
