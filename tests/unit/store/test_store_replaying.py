"""Replaying, on the store in memory and a clock that only sleeping moves."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from pipelines import replaying
from pipelines.catalog import Catalog, UnknownModel, UnknownVersion
from pipelines.ports import InvalidInput
from pipelines.replaying import Change, merge
from pipelines.store.memory import MemoryStore
from schemas.dead_letters import DeadLetter, DeadLetterFilter
from schemas.jobs import Submission
from schemas.reasons import Reason
from schemas.verdicts import Dead

ROOT = Path(__file__).parents[3] / "models"
GOOD = {"pixels": [1] * 64}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=2), below, max_size=3),
    max_leaves=8,
)


class Time:
    def __init__(self) -> None:
        self.at = 0.0

    def monotonic(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.at += seconds


def store_with(count: int, inputs: bytes = json.dumps(GOOD).encode()) -> MemoryStore:
    store = MemoryStore(lambda: 0.0)
    store.submit([Submission(f"j{n:03}", "t", "digits", "1", inputs, b"") for n in range(count)])
    store.record([(claim, Dead(Reason.MODEL_ERROR, "boom")) for claim in store.claim_next(["digits"], count, 1)])
    return store


def letters(store: MemoryStore, **wanted: object) -> list[DeadLetter]:
    return list(replaying.select(store, "t", DeadLetterFilter(**wanted)))  # type: ignore[arg-type]  # a test's filter


def catalog() -> Catalog:
    return Catalog.open(ROOT)


def no_catalog() -> Catalog:
    raise AssertionError("nothing to check")


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    # RFC 7396, appendix A
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_patch(target: object, patch: object, result: object) -> None:
    assert merge(target, patch) == result


@given(JSON, JSON)
def test_merging_twice_is_merging_once(target: object, patch: object) -> None:
    once = merge(target, patch)
    assert merge(once, patch) == once


def test_select_goes_over_pages_and_many_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replaying, "PAGE", 2)
    store = store_with(5)
    assert len(letters(store)) == 5
    ids = ("j000", "j003", "j004", "j000", "nope")
    assert sorted(letter.id for letter in letters(store, ids=ids)) == ["j000", "j003", "j004"]


def test_two_operators_replay_once() -> None:
    store = store_with(3)
    first, second = (replaying.plan(no_catalog, letters(store), Change()) for _ in range(2))
    time = Time()
    done = [list(replaying.replay(store, "t", plan, None, time, time.sleep)) for plan in (first, second)]
    assert [[outcome.applied for chunk in chunks for outcome in chunk] for chunks in done] == [[True] * 3, [False] * 3]
    assert {row.generation for row in store.rows.values()} == {1}


def test_stopping_half_way_leaves_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replaying, "PAGE", 2)
    store, time = store_with(5), Time()
    next(replaying.replay(store, "t", replaying.plan(no_catalog, letters(store), Change()), None, time, time.sleep))
    assert len(letters(store)) == 3


@pytest.mark.parametrize(("rate", "count", "seconds"), [(50.0, 100, 2.0), (0.5, 3, 4.0), (2.0, 5, 2.0)])
def test_the_rate_is_kept_and_spread(rate: float, count: int, seconds: float) -> None:
    store, time = store_with(count), Time()
    done: list[tuple[float, int]] = []
    for chunk in replaying.replay(
        store, "t", replaying.plan(no_catalog, letters(store), Change()), rate, time, time.sleep
    ):
        time.at += 0.01  # the store takes its time; the rate makes up for it
        done.append((time.at, len(chunk)))
    assert sum(size for _, size in done) == count
    assert max(size for _, size in done) <= max(1, rate / 10)
    assert done[-1][0] == pytest.approx(seconds, abs=0.15)


def test_a_patch_is_checked_against_the_target_before_anything() -> None:
    with pytest.raises(InvalidInput, match=r"job j001: inputs\.pixels: expected shape \[64\], got \[1\]"):
        replaying.plan(catalog, letters(store_with(2)), Change({"pixels": [1]}))
    with pytest.raises(UnknownVersion):
        replaying.plan(catalog, letters(store_with(1)), Change(version="9"))
    with pytest.raises(InvalidInput, match="missing"):
        replaying.plan(catalog, letters(store_with(1)), Change({"pixels": None}))


def test_a_version_is_resolved_and_the_input_checked_against_it() -> None:
    (one,) = replaying.plan(catalog, letters(store_with(1)), Change(version="production", by="ann"))
    assert (one.version, one.inputs, one.by, one.generation) == ("1", None, "ann", 0)
    with pytest.raises(InvalidInput, match="job j000: inputs"):
        replaying.plan(catalog, letters(store_with(1, b"nonsense")), Change(version="2"))


def test_what_is_not_json_cannot_be_patched() -> None:
    with pytest.raises(InvalidInput, match="j000: its input is not JSON"):
        replaying.plan(catalog, letters(store_with(1, b"\xff")), Change(GOOD))


def test_a_patched_input() -> None:
    (one,) = replaying.plan(catalog, letters(store_with(1, b'{"pixels":[],"x":1}')), Change({**GOOD, "x": None}))
    assert one.inputs is not None
    assert json.loads(one.inputs) == GOOD


def test_another_model_brings_its_own_version_and_is_in_the_audit() -> None:
    (letter,) = letters(store_with(1))
    unknown = structs.replace(letter, model="digit", version="unknown")
    (one,) = replaying.plan(catalog, [unknown], Change(by="ann", model="digits"))
    assert (one.model, one.version, one.inputs) == ("digits", "1", None)
    assert one.by == "ann (model digits, was digit)"
    (one,) = replaying.plan(catalog, [unknown], Change(by="ann", model="digits", version="2"))
    assert (one.model, one.version) == ("digits", "2")
    with pytest.raises(InvalidInput, match="job j000: inputs"):
        replaying.plan(catalog, [structs.replace(unknown, inputs=b"{}")], Change(model="digits"))
    with pytest.raises(UnknownModel):
        replaying.plan(catalog, [letter], Change(model="digit"))
