"""What is counted on the way: credits, open verdicts, held leases, learned ceilings."""

from flow_items import claim, item
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from pipelines.flow.ceilings import Ceilings
from pipelines.flow.credits import Credits
from pipelines.flow.held import Held
from pipelines.flow.outbox import MOST, MOST_BYTES, Entry, Outbox
from pipelines.ports import Delivery
from schemas.verdicts import Done, Release

ITEMS, BYTES, RECEIVE = 8, 100, 40
"""RECEIVE: the most bytes that a queue hands out at once."""


class CreditsAreKept(RuleBasedStateMachine):
    """A worker that receives only with room, and gives back what it took."""

    def __init__(self) -> None:
        super().__init__()
        self.credits = Credits(ITEMS, BYTES)
        self.taken: list[tuple[int, int]] = []

    received = Bundle("received")

    @rule(target=received, items=st.integers(1, ITEMS), size=st.integers(0, RECEIVE))
    def receive(self, items: int, size: int) -> tuple[int, int]:
        got = (min(items, self.credits.room()), size if self.credits.room() else 0)
        self.credits.take(*got)
        self.taken.append(got)
        return got

    @rule(got=consumes(received))
    def settle(self, got: tuple[int, int]) -> None:
        self.taken.remove(got)
        self.credits.give(*got)

    @invariant()
    def balance(self) -> None:
        items, size = (sum(part) for part in zip(*self.taken, strict=True)) if self.taken else (0, 0)
        assert items <= ITEMS
        assert size < BYTES + RECEIVE, "overdrawn by more than one receive"
        assert self.credits.room() == (ITEMS - items if size < BYTES else 0)

    def teardown(self) -> None:
        for got in self.taken:
            self.credits.give(*got)
        assert self.credits.room() == ITEMS


TestCreditsAreKept = CreditsAreKept.TestCase


def test_waiting_for_credit_ends_at_once_when_there_is_some() -> None:
    credits = Credits(1, 1)
    assert credits.wait(timeout=60) == 1
    credits.take(1, 0)
    assert credits.wait(timeout=0) == 0


def entries(count: int) -> list[Entry]:
    return [Entry(Delivery(n), Release()) for n in range(count)]


@given(st.lists(st.integers(0, 5), max_size=8))
def test_the_outbox_is_quiet_only_when_all_is_settled(puts: list[int]) -> None:
    outbox = Outbox()
    for count in puts:
        outbox.put(entries(count))
    assert outbox.quiet() == (sum(puts) == 0)
    taken = outbox.take()
    assert len(taken) == sum(puts)
    assert outbox.quiet() == (not taken), "taken is not settled yet"
    outbox.done(len(taken))
    assert outbox.wait_quiet(timeout=0)


def test_the_outbox_keeps_order_and_bounds_one_transaction() -> None:
    outbox = Outbox()
    outbox.put(entries(MOST + 2))
    first, second = outbox.take(), outbox.take()
    assert [entry.delivery.receipt for entry in (*first, *second)] == list(range(MOST + 2))
    assert (len(first), len(second), outbox.take()) == (MOST, 2, [])


def test_one_transaction_is_bounded_in_bytes_and_never_empty() -> None:
    outbox = Outbox()
    large = b"x" * (MOST_BYTES // 2 + 1)
    outbox.put([Entry(Delivery(n), Done(large)) for n in range(3)])
    outbox.put([Entry(Delivery(3), Done(b"x" * (MOST_BYTES + 1))), Entry(Delivery(4), Release())])
    taken = [[entry.delivery.receipt for entry in outbox.take()] for _ in range(6)]
    assert taken == [[0], [1], [2], [3], [4], []]


def test_a_row_lost_and_claimed_again_is_held_twice_and_let_go_once() -> None:
    held = Held()
    old, new = item(1, fence=1), item(1, fence=2)
    held.add([old])
    held.add([new])
    assert len(held) == 2
    held.remove([old.claim, claim(9)])
    assert held.since(1000.0) == [new]


def test_the_heartbeat_sees_what_has_a_lease_and_is_old_enough() -> None:
    held = Held()
    early, late, lost = item(1, arrived=10.0), item(2, arrived=20.0), item(3, arrived=10.0)
    lost.lost = True
    held.add([early, late, lost])
    assert held.since(15.0) == [early]


@given(st.lists(st.integers(0, 100), min_size=1))
def test_a_ceiling_only_falls_and_leaves_room_for_one(sizes: list[int]) -> None:
    ceilings = Ceilings()
    assert ceilings.most("g") is None
    for size in sizes:
        ceilings.learn("g", size)
    assert ceilings.most("g") == max(1, min(sizes))
    assert ceilings.most("other") is None
