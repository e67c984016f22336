"""Packing: nothing is lost or doubled, bounds hold, the lead always goes, priorities come first."""

from collections.abc import Callable, Iterator

import pytest
from flow_items import Echo, item
from hypothesis import given
from hypothesis import strategies as st

from pipelines.flow.item import Item
from pipelines.flow.packing import Packer
from schemas.model_spec import Batching

Waiting = list[tuple[float, int, int, int]]
"""Cost, priority, likeness, starts."""

waiting = st.lists(
    st.tuples(st.sampled_from([1.0, 2.0, 3.5, 7.0]), st.integers(0, 9), st.integers(0, 2), st.sampled_from([0, 0, 0, 1])),
    max_size=40,
)  # fmt: skip
batchings = st.builds(
    Batching,
    max_batch_size=st.integers(1, 9),
    max_batch_cost=st.none() | st.sampled_from([0.5, 4.0, 7.0, 20.0]),
)


def items_of(given_items: Waiting, batching: Batching) -> list[Item]:
    served = Echo(batching=batching)
    return [
        item(order, cost, likeness, served, priority=priority, starts=starts)
        for order, (cost, priority, likeness, starts) in enumerate(given_items)
    ]


def leads_of(packer: Packer) -> Iterator[Item]:
    """Whose turn it is, until nothing waits."""
    while leads := packer.leads():
        yield leads[0]


def drained(packer: Packer, check: Callable[[Item, list[Item]], None] = lambda lead, batch: None) -> list[Item]:
    everything: list[Item] = []
    for lead in leads_of(packer):
        before = len(packer)
        batch = packer.pop(lead)
        check(lead, batch)
        assert len(packer) == before - len(batch)
        everything += batch
    assert len(packer) == 0
    return everything


def orders(items: list[Item]) -> list[int]:
    return sorted(item.order for item in items)


@given(waiting, batchings, st.integers(1, 10))
def test_nothing_is_lost_or_doubled(given_items: Waiting, batching: Batching, chunk: int) -> None:
    items = items_of(given_items, batching)
    packer = Packer()
    for start in range(0, len(items), chunk):
        packer.add(items[start : start + chunk])
    assert orders(drained(packer)) == orders(items)


@given(waiting, batchings)
def test_a_batch_keeps_its_bounds_and_its_group(given_items: Waiting, batching: Batching) -> None:
    def check(lead: Item, batch: list[Item]) -> None:
        assert lead in batch
        assert len(batch) <= batching.max_batch_size
        assert {each.group for each in batch} == {lead.group}
        dearest = max(each.cost for each in batch)
        limit = batching.max_batch_cost
        assert limit is None or len(batch) * dearest <= limit or batch == [lead]
        assert not lead.claim.suspect or batch == [lead]

    packer = Packer()
    packer.add(items_of(given_items, batching))
    drained(packer, check)


@given(waiting, batchings)
def test_the_lead_is_of_the_highest_priority_and_came_first(given_items: Waiting, batching: Batching) -> None:
    """So the oldest of the highest priority is never starved. Suspects keep their own order among themselves."""
    items = items_of([(cost, priority, like, 0) for cost, priority, like, _ in given_items], batching)
    left = {each.order: each for each in items}

    def check(lead: Item, batch: list[Item]) -> None:
        assert lead is min(left.values(), key=lambda each: (-each.claim.priority, each.order))
        for each in batch:
            del left[each.order]

    packer = Packer()
    packer.add(items)
    drained(packer, check)


@given(waiting, batchings)
def test_company_of_a_higher_priority_goes_first(given_items: Waiting, batching: Batching) -> None:
    """With one cost only, a batch is the head of its group by priority and arrival."""
    items = items_of([(1.0, priority, like, 0) for _, priority, like, _ in given_items], batching)
    left = {each.order: each for each in items}

    def check(lead: Item, batch: list[Item]) -> None:
        group = [each for each in left.values() if each.group == lead.group]
        group.sort(key=lambda each: (-each.claim.priority, each.order))
        assert batch == group[: len(batch)]
        for each in batch:
            del left[each.order]

    packer = Packer()
    packer.add(items)
    drained(packer, check)


@given(waiting, batchings, st.sets(st.integers(0, 39)))
def test_dropping_takes_exactly_what_is_unwanted(given_items: Waiting, batching: Batching, gone: set[int]) -> None:
    items = items_of(given_items, batching)
    packer = Packer()
    packer.add(items)
    dropped = packer.drop(lambda each: each.order in gone)
    assert orders(dropped) == sorted(each.order for each in items if each.order in gone)
    assert orders(drained(packer)) == sorted(each.order for each in items if each.order not in gone)


def test_like_costs_go_together() -> None:
    packer = Packer()
    served = Echo(batching=Batching(max_batch_size=3))
    packer.add([item(n, cost, None, served) for n, cost in enumerate([10, 500, 12, 480, 9, 11])])
    first, second = (packer.pop(lead) for lead in leads_of(packer))
    assert orders(first) == [0, 4, 5]
    assert orders(second) == [1, 2, 3]


def test_a_lead_dearer_than_the_bound_goes_alone() -> None:
    packer = Packer()
    served = Echo(batching=Batching(max_batch_cost=5))
    packer.add([item(0, 9, None, served), item(1, 1, None, served), item(2, 1, None, served)])
    assert [orders(packer.pop(lead)) for lead in leads_of(packer)] == [[0], [1, 2]]


@pytest.mark.parametrize(("ceiling", "sizes"), [(None, [5]), (2, [2, 2, 1]), (100, [5])])
def test_a_learned_ceiling_bounds_the_batch(ceiling: int | None, sizes: list[int]) -> None:
    packer = Packer()
    packer.add([item(n) for n in range(5)])
    assert [len(packer.pop(lead, ceiling)) for lead in leads_of(packer)] == sizes


def test_suspects_run_alone_in_their_turn() -> None:
    packer = Packer()
    packer.add([item(0), item(1, starts=1), item(2, lost=2), item(3, lost=1)])
    assert [orders(packer.pop(lead)) for lead in leads_of(packer)] == [[0, 3], [1], [2]]
