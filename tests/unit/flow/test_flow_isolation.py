"""Halving: every good item is answered, the culprit is found in few runs, and a device that fails everything stops it."""

from collections.abc import Sequence
from math import ceil, log2

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.flow.isolation import Answer, Failure, Outcome, Unclear, WrongCount, isolate
from pipelines.ports import OutOfMemory, Tensors


class Device:
    """Fails a batch for its first poison item; runs out of memory above `room` items."""

    def __init__(self, poison: set[int], room: int = 1 << 30, alike: bool = False) -> None:
        self.poison = poison
        self.room = room
        self.alike = alike
        self.sizes: list[int] = []

    def __call__(self, inputs: Sequence[Tensors]) -> list[Tensors]:
        self.sizes.append(len(inputs))
        if len(inputs) > self.room:
            raise OutOfMemory("no room")
        for n in numbers(inputs):
            if n in self.poison:
                raise ValueError("poison" if self.alike else f"poison {n}")
        return [{"y": item["x"] * 2} for item in inputs]


def numbers(inputs: Sequence[Tensors]) -> list[int]:
    return [int(item["x"]) for item in inputs]


def inputs_of(count: int) -> list[Tensors]:
    return [{"x": np.array(n)} for n in range(count)]


def is_own_answer(n: int, outcome: Outcome) -> bool:
    return isinstance(outcome, Answer) and int(outcome.output["y"]) == 2 * n


subsets = st.integers(0, 40).flatmap(
    lambda count: st.tuples(st.just(count), st.sets(st.integers(0, max(0, count - 1))))
)


@given(subsets, st.integers(1, 50))
def test_every_good_item_is_answered_and_each_culprit_is_named(batch: tuple[int, set[int]], room: int) -> None:
    count, poison = batch
    outcomes = isolate(Device(poison, room), inputs_of(count))
    assert len(outcomes) == count
    for n, outcome in enumerate(outcomes):
        if n in poison:
            assert isinstance(outcome, Failure)
            assert str(outcome.error) == f"poison {n}"
        else:
            assert is_own_answer(n, outcome)


@given(st.integers(1, 300).flatmap(lambda count: st.tuples(st.just(count), st.integers(0, count - 1))))
def test_one_culprit_costs_two_runs_a_level(batch: tuple[int, int]) -> None:
    count, culprit = batch
    device = Device({culprit})
    isolate(device, inputs_of(count))
    assert len(device.sizes) <= 1 + 2 * ceil(log2(count))


def test_one_culprit_in_32_costs_11_runs() -> None:
    device = Device({13})
    outcomes = isolate(device, inputs_of(32))
    assert len(device.sizes) == 11
    assert sum(isinstance(outcome, Answer) for outcome in outcomes) == 31


@given(st.integers(2, 300))
def test_a_device_that_fails_everything_is_asked_three_times(count: int) -> None:
    device = Device(set(range(count)), alike=True)
    outcomes = isolate(device, inputs_of(count))
    assert len(device.sizes) == 3
    # Only what failed alone is the culprit.
    assert sum(isinstance(outcome, Failure) for outcome in outcomes) == {2: 2, 3: 1}.get(count, 0)
    assert all(isinstance(outcome, Failure | Unclear) for outcome in outcomes)


@given(subsets)
def test_alike_failures_never_cost_an_answer_of_another_or_blame_the_good(batch: tuple[int, set[int]]) -> None:
    count, poison = batch
    outcomes = isolate(Device(poison, alike=True), inputs_of(count))
    for n, outcome in enumerate(outcomes):
        assert is_own_answer(n, outcome) or isinstance(outcome, Unclear) or n in poison
        assert n not in poison or not isinstance(outcome, Answer)


@given(st.integers(1, 200), st.integers(1, 50))
def test_out_of_memory_halves_until_it_fits_and_the_ceiling_fits(count: int, room: int) -> None:
    learned: list[int] = []
    device = Device(set(), room)
    outcomes = isolate(device, inputs_of(count), learned.append)
    assert all(is_own_answer(n, outcome) for n, outcome in enumerate(outcomes))
    assert bool(learned) == (count > room)
    assert not learned or 1 <= min(learned) <= room


def test_out_of_memory_alone_is_the_items_own() -> None:
    (outcome,) = isolate(Device(set(), room=0), inputs_of(1))
    assert isinstance(outcome, Failure)
    assert isinstance(outcome.error, OutOfMemory)


@pytest.mark.parametrize("given_back", [0, 1, 3])
def test_another_number_of_outputs_matches_nobody(given_back: int) -> None:
    """Too few or too many: no output may reach another's input."""

    def predict(inputs: Sequence[Tensors]) -> list[Tensors]:
        return [{"y": np.array(0)}] * (given_back if len(inputs) > 1 else 2)

    outcomes = isolate(predict, inputs_of(2))
    assert all(isinstance(outcome, Failure) and isinstance(outcome.error, WrongCount) for outcome in outcomes)


def test_a_crash_is_not_an_outcome() -> None:
    def predict(inputs: Sequence[Tensors]) -> list[Tensors]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        isolate(predict, inputs_of(4))
