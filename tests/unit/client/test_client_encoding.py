import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forebay_client import InvalidRequest
from forebay_client.encoding import BATCH_BYTES, BATCH_JOBS, Options, batch_body, chunks, encode


def test_a_body_holds_what_was_said_and_nothing_else() -> None:
    assert json.loads(encode("m", {"x": [1]}, Options())) == {"model": "m", "inputs": {"x": [1]}}
    said = Options(version="2", priority=9, expires_in=1.5, webhook="https://x", metadata={"a": 1})
    assert json.loads(encode("m", {}, said, key="k")) == {
        "model": "m", "inputs": {}, "version": "2", "priority": 9, "expires_in": 1.5, "webhook": "https://x",
        "metadata": {"a": 1}, "idempotency_key": "k",
    }  # fmt: skip


def test_arrays_are_taken_as_they_are() -> None:
    inputs = {"x": np.arange(4, dtype=np.float32).reshape(2, 2), "n": np.int64(3)}
    assert json.loads(encode("m", inputs, Options()))["inputs"] == {"x": [[0.0, 1.0], [2.0, 3.0]], "n": 3}


@pytest.mark.parametrize(
    ("inputs", "where"),
    [
        ({"x": [1.0, float("nan")]}, "inputs.x[1]"),
        ({"x": [{"y": (0, float("inf"))}]}, "inputs.x[0].y[1]"),
        ({"x": np.array([[0.0], [-np.inf]])}, "inputs.x[1][0]"),
        ({"x": np.float32("nan")}, "inputs.x"),
    ],
)
def test_what_is_not_finite_is_named(inputs: object, where: str) -> None:
    with pytest.raises(InvalidRequest, match="expected finite numbers") as caught:
        encode("m", inputs, Options())
    assert caught.value.field == where


@pytest.mark.parametrize("inputs", [{"x": object()}, {"x": b"raw"}, {"x": "\ud800"}, {("a",): 1}])
def test_what_is_no_json_is_refused(inputs: object) -> None:
    with pytest.raises(InvalidRequest, match="can't be written as JSON"):
        encode("m", inputs, Options())


def test_what_refers_to_itself_or_is_too_deep_is_refused() -> None:
    round_and_round: list[object] = []
    round_and_round.append(round_and_round)
    deep: object = 0
    for _ in range(200_000):
        deep = [deep]
    for inputs in (round_and_round, deep):
        with pytest.raises(InvalidRequest):
            encode("m", inputs, Options())


@given(st.lists(st.integers(2, BATCH_BYTES + 10).map(lambda n: n if n % 3 else 2), max_size=12))
def test_chunks_keep_order_and_fit(sizes: list[int]) -> None:
    entries = [b"x" * size for size in sizes]
    batches = list(chunks(entries))
    assert [entry for batch in batches for entry in batch] == entries
    for batch in batches:
        assert len(batch) == 1 or len(batch_body(batch)) <= 8 << 20


def test_chunks_hold_no_more_jobs_than_the_server_takes() -> None:
    assert [len(batch) for batch in chunks([b"{}"] * (2 * BATCH_JOBS + 1))] == [BATCH_JOBS, BATCH_JOBS, 1]
    assert list(chunks([])) == []
