"""Running records: answers in order, culprits alone, retries in place while there is time."""

import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.flow.in_place import Refused, Runner, cut
from pipelines.flow.served import HookFailed, InvalidOutput, Prepared
from pipelines.ports import InvalidInput, Tensors
from schemas.model_spec import Batching, Limits
from schemas.reasons import Reason


class Model:
    """Answers n for n; `bad` is no input, `poison` fails any batch it is in, `flaky` fails once, `hollow` answers badly."""

    name = version = "m"

    def __init__(self, **limits: int) -> None:
        self.limits = Limits(max_attempts=limits.get("max_attempts", 3))
        self.batching = Batching(max_batch_size=4)
        self.batches: list[list[bytes]] = []
        self.failed: set[bytes] = set()

    def prepare(self, raws: Sequence[bytes]) -> list[Prepared | InvalidInput | HookFailed]:
        return [InvalidInput("inputs: bad") if raw == b"bad" else Prepared({"raw": raw}) for raw in raws]  # type: ignore[dict-item]

    def predict(self, inputs: Sequence[Tensors]) -> list[Tensors]:
        raws: list[bytes] = [each["raw"] for each in inputs]  # type: ignore[misc]
        self.batches.append(raws)
        for raw in raws:
            if raw == b"poison" or (raw.startswith(b"flaky") and raw not in self.failed):
                self.failed.add(raw)
                raise RuntimeError(f"cannot run {raw.decode()}")
        return list(inputs)

    def finish(self, outputs: Sequence[Tensors]) -> list[bytes | InvalidOutput]:
        return [InvalidOutput("y: NaN") if each["raw"] == b"hollow" else each["raw"] for each in outputs]  # type: ignore[comparison-overlap,misc]


def ran(model: Model, raws: Sequence[bytes], time_left: float = 1e9) -> list[bytes | Refused]:
    return Runner(model, random.Random(1), lambda seconds: None).run(raws, lambda: time_left)


def test_all_good_is_one_run() -> None:
    model = Model()
    assert ran(model, [b"1", b"2", b"3"]) == [b"1", b"2", b"3"]
    assert model.batches == [[b"1", b"2", b"3"]]


def test_a_batch_larger_than_the_models_is_cut() -> None:
    model = Model()
    raws = [b"%d" % n for n in range(10)]
    assert ran(model, raws) == raws
    assert max(map(len, model.batches)) == 4


def test_one_poison_record_costs_its_neighbours_nothing() -> None:
    got = ran(Model(), [b"1", b"poison", b"3", b"4"])
    assert [got[n] for n in (0, 2, 3)] == [b"1", b"3", b"4"]
    assert got[1] == Refused(Reason.MODEL_ERROR, got[1].error, 3)  # type: ignore[union-attr]
    assert "cannot run poison" in got[1].error  # type: ignore[union-attr]


def test_what_passes_is_tried_again_in_place() -> None:
    assert ran(Model(), [b"1", b"flaky", b"3"]) == [b"1", b"flaky", b"3"]


def test_without_time_left_nothing_is_tried_again() -> None:
    (got,) = ran(Model(), [b"poison"], time_left=-1.0)
    assert isinstance(got, Refused)
    assert got.attempts == 1


@pytest.mark.parametrize(
    ("raw", "reason", "attempts"), [(b"bad", Reason.INVALID_INPUT, 1), (b"hollow", Reason.INVALID_OUTPUT, 3)]
)
def test_why_a_record_is_refused(raw: bytes, reason: Reason, attempts: int) -> None:
    got = ran(Model(), [b"1", raw])
    assert got[0] == b"1"
    assert isinstance(got[1], Refused)
    assert (got[1].reason, got[1].attempts) == (reason, attempts)


@given(st.lists(st.sampled_from([b"1", b"2", b"bad", b"poison", b"flaky1", b"flaky2", b"hollow"]), max_size=12))
def test_every_record_gets_its_own_outcome(raws: list[bytes]) -> None:
    got = ran(Model(), raws)
    assert len(got) == len(raws)
    for raw, outcome in zip(raws, got, strict=True):
        refused = raw in (b"bad", b"poison", b"hollow")
        assert isinstance(outcome, Refused) if refused else outcome == raw


costs = st.lists(st.tuples(st.sampled_from([1.0, 2.0, 5.0]), st.integers(0, 1)), max_size=20)


@given(costs, st.integers(1, 6), st.sampled_from([None, 1.0, 4.0, 11.0]))
def test_cuts_hold_their_bounds_and_lose_nothing(
    given_: list[tuple[float, int]], size: int, cost: float | None
) -> None:
    prepared = [Prepared({}, cost_, likeness) for cost_, likeness in given_]
    cuts = cut(prepared, Batching(max_batch_size=size, max_batch_cost=cost))
    assert sorted(place for batch in cuts for place in batch) == list(range(len(prepared)))
    for batch in cuts:
        assert len({prepared[place].likeness for place in batch}) == 1
        assert len(batch) <= size
        dearest = max(prepared[place].cost for place in batch)
        assert cost is None or len(batch) == 1 or len(batch) * dearest <= cost
