"""The waiting room: greedy by default, `max_delay_ms` counted from the oldest, suspects only when all is quiet."""

import pytest
from flow_items import Echo, Time, item

from pipelines.flow.buffer import DEADLINE_MARGIN_S, Batch, Buffer, Wait
from pipelines.flow.item import Item
from schemas.model_spec import Batching

SLOW = Echo(batching=Batching(max_batch_size=4, max_delay_ms=100))
BY_COST = Echo(batching=Batching(max_batch_size=100, max_batch_cost=4, max_delay_ms=100))


def buffer_of(*items: Item, time: Time | None = None) -> Buffer:
    buffer = Buffer(time or Time())
    buffer.put(items)
    return buffer


def orders(got: Batch | Wait) -> list[int]:
    assert isinstance(got, Batch)
    return [each.order for each in got.items]


def test_a_free_device_takes_what_is_there() -> None:
    buffer = buffer_of(item(1), item(2))
    assert orders(buffer.take(quiet=False)) == [1, 2]
    assert buffer.take(quiet=True) == Wait(None)
    assert len(buffer) == 0


def test_a_delay_is_counted_from_the_oldest() -> None:
    time = Time()
    buffer = buffer_of(item(1, served=SLOW), time=time)
    assert buffer.take(quiet=True) == Wait(pytest.approx(0.1))
    time.now += 0.06
    buffer.put([item(2, served=SLOW, arrived=time.now)])
    assert buffer.take(quiet=True) == Wait(pytest.approx(0.04))
    time.now += 0.05
    assert orders(buffer.take(quiet=True)) == [1, 2]


def test_a_full_batch_goes_at_once() -> None:
    assert orders(buffer_of(*(item(n, served=SLOW) for n in range(6))).take(quiet=True)) == [0, 1, 2, 3]


def test_a_batch_that_is_full_by_cost_goes_at_once() -> None:
    assert orders(buffer_of(*(item(n, 2.0, served=BY_COST) for n in range(6))).take(quiet=True)) == [0, 1]


def test_a_delay_of_one_model_does_not_hold_up_another() -> None:
    buffer = buffer_of(item(1, served=SLOW), item(2, served=Echo(name="n"), model="n"))
    assert orders(buffer.take(quiet=True)) == [2]


def test_a_batch_that_is_full_by_mixed_costs_goes_at_once() -> None:
    buffer = buffer_of(item(1, 1.0, served=BY_COST), item(2, 1.5, served=BY_COST))
    assert isinstance(buffer.take(quiet=True), Wait)
    buffer.put([item(3, 1.2, served=BY_COST)])
    assert orders(buffer.take(quiet=True)) == [1, 3]


def test_no_delay_lasts_past_a_deadline() -> None:
    """Of whichever item it is: a batch that waits for more would let that job expire."""
    slow = Echo(batching=Batching(max_batch_size=4, max_delay_ms=10_000))
    time = Time()
    buffer = buffer_of(item(1, served=slow), item(2, served=slow, time_left=1.0), time=time)
    assert buffer.take(quiet=True) == Wait(pytest.approx(1.0 - DEADLINE_MARGIN_S))
    time.now += 1.0 - DEADLINE_MARGIN_S
    assert orders(buffer.take(quiet=True)) == [1, 2]


def test_a_batch_that_a_learned_ceiling_makes_full_goes_at_once() -> None:
    buffer = Buffer(Time(), ceiling=lambda lead: 2)
    buffer.put([item(1, served=SLOW), item(2, served=SLOW)])
    assert orders(buffer.take(quiet=True)) == [1, 2]


def test_a_suspect_that_waits_for_quiet_leaves_the_delays_of_others_alone() -> None:
    buffer = buffer_of(item(1, served=SLOW), item(2, starts=1))
    assert buffer.take(quiet=False) == Wait(pytest.approx(0.1), for_quiet=True)


def test_a_suspect_waits_until_all_is_quiet_and_nothing_passes_it() -> None:
    buffer = buffer_of(item(1, starts=1), item(2))
    assert buffer.take(quiet=False) == Wait(None, for_quiet=True)
    alone = buffer.take(quiet=True)
    assert orders(alone) == [1]
    assert isinstance(alone, Batch)
    assert alone.alone
    assert orders(buffer.take(quiet=False)) == [2]


def test_a_learned_ceiling_bounds_the_batch() -> None:
    buffer = Buffer(Time(), ceiling=lambda lead: 2)
    buffer.put([item(n) for n in range(3)])
    assert orders(buffer.take(quiet=True)) == [0, 1]


def test_one_may_go_first_and_the_others_wait_on_in_their_order() -> None:
    model = Echo()
    buffer = buffer_of(
        item(1, served=model, failures=1),
        item(2, served=model),
        item(3, served=model, starts=1),
        item(4, served=model, likeness="other"),
        item(5, served=Echo(name="n"), model="n"),
    )
    taken = buffer.take(quiet=False)
    assert isinstance(taken, Batch)
    instead = buffer.swap(taken, lambda each: (each.claim.suspect, each.claim.failures, -each.order))
    assert (orders(instead), instead.alone) == ([4], False)
    assert [orders(buffer.take(quiet=True)) for _ in range(3)] == [[1, 2], [3], [5]]


def test_what_is_unwanted_leaves() -> None:
    buffer = buffer_of(item(1), item(2), item(3, starts=1))
    assert {each.order for each in buffer.drop(lambda each: each.order != 2)} == {1, 3}
    assert orders(buffer.take(quiet=True)) == [2]


def test_an_arrival_is_never_missed() -> None:
    """`wait` returns at once when something came after `arrivals` was read."""
    buffer = Buffer(Time())
    seen = buffer.arrivals
    buffer.put([item(1)])
    buffer.wait(seen, timeout=60)
    seen = buffer.arrivals
    buffer.wake()
    buffer.wait(seen, timeout=60)
