"""The ledger: whatever the order, only the contiguous prefix is committed, and never by an old epoch."""

import random

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pipelines.queues.kafka_ledger import Ledger, Receipt

P = ("jobs", 0)


def read(ledger: Ledger, *offsets: int) -> list[Receipt]:
    receipts = [ledger.read(P, offset) for offset in offsets]
    return [receipt for receipt in receipts if receipt is not None]


def of_one() -> Ledger:
    ledger = Ledger()
    ledger.assigned([P])
    return ledger


def test_what_is_settled_out_of_order_waits_for_what_lies_below() -> None:
    ledger = of_one()
    first, second, third = read(ledger, 10, 11, 15)
    ledger.settle([second, third])
    assert ledger.progress() == {P: 10}
    ledger.settle([first])
    assert ledger.progress() == {P: 16}
    assert ledger.progress() == {}, "told once"


def test_a_receipt_of_an_earlier_assignment_is_stale() -> None:
    ledger = of_one()
    (old,) = read(ledger, 5)
    ledger.gone([P])
    ledger.settle([old])
    ledger.assigned([P])
    (new,) = read(ledger, 5)
    ledger.settle([old])
    assert (ledger.holds(old), ledger.holds(new)) == (False, True)
    assert ledger.progress() == {P: 5}, "nothing above the open one"


def test_a_partition_that_is_not_ours_is_not_read() -> None:
    assert Ledger().read(P, 1) is None


def test_offsets_that_go_back_begin_a_new_epoch() -> None:
    ledger = of_one()
    (old,) = read(ledger, 100)
    (new,) = read(ledger, 0)
    ledger.settle([old, new])
    assert ledger.progress() == {P: 1}


def test_a_failed_commit_is_told_again() -> None:
    ledger = of_one()
    ledger.settle(read(ledger, 1))
    assert ledger.progress([P, ("jobs", 7)]) == ledger.progress() | {P: 2}
    ledger.untell([P, ("jobs", 7)])
    assert ledger.progress() == {P: 2}


@given(st.integers(1, 60), st.randoms(use_true_random=False))
def test_memory_is_what_is_open(count: int, chance: random.Random) -> None:
    ledger = of_one()
    stuck, *others = read(ledger, *sorted(chance.sample(range(1000), count)))
    chance.shuffle(others)
    ledger.settle(others)
    assert (ledger.open(), ledger.progress()) == (1, {P: stuck.offset})


class Model(RuleBasedStateMachine):
    """Beside a model that keeps everything: every offset ever read in an epoch, and whether it was settled."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger()
        self.settled: dict[tuple[int, int], dict[int, bool]] = {}
        """By partition number and epoch: offset → settled."""
        self.epoch: dict[int, int] = {}
        self.next: dict[int, int] = {}
        self.committed: dict[int, int] = {}
        self.receipts: list[Receipt] = []

    @rule(number=st.integers(0, 2))
    def assign(self, number: int) -> None:
        self.ledger.assigned([("jobs", number)])
        self.next[number] = self.committed.get(number, 0)
        self.epoch.pop(number, None)

    @rule(number=st.integers(0, 2))
    def revoke(self, number: int) -> None:
        self.ledger.gone([("jobs", number)])
        self.next.pop(number, None)
        self.epoch.pop(number, None)

    @precondition(lambda self: self.next)
    @rule(data=st.data(), gap=st.integers(0, 3))
    def read(self, data: st.DataObject, gap: int) -> None:
        number = data.draw(st.sampled_from(sorted(self.next)))
        offset = self.next[number] + gap
        receipt = self.ledger.read(("jobs", number), offset)
        assert receipt is not None
        self.next[number] = offset + 1
        self.epoch[number] = receipt.epoch
        self.settled.setdefault((number, receipt.epoch), {})[offset] = False
        self.receipts.append(receipt)

    @precondition(lambda self: self.receipts)
    @rule(data=st.data())
    def settle(self, data: st.DataObject) -> None:
        receipt = data.draw(st.sampled_from(self.receipts))
        self.ledger.settle([receipt])
        number = receipt.partition[1]
        if self.epoch.get(number) == receipt.epoch:
            self.settled[number, receipt.epoch][receipt.offset] = True

    @rule()
    def commit(self) -> None:
        for (_, number), offset in self.ledger.progress().items():
            self.committed[number] = offset

    @invariant()
    def only_the_contiguous_prefix(self) -> None:
        for number, epoch in self.epoch.items():
            offsets = self.settled[number, epoch]
            still = [offset for offset, done in offsets.items() if not done]
            expected = min(still, default=max(offsets) + 1)
            self.ledger.untell([("jobs", number)])
            assert self.ledger.progress([("jobs", number)]) == {("jobs", number): expected}

    @invariant()
    def only_the_current_epoch_is_held(self) -> None:
        for receipt in self.receipts:
            number = receipt.partition[1]
            current = self.epoch.get(number) == receipt.epoch
            expected = current and not self.settled[number, receipt.epoch][receipt.offset]
            assert self.ledger.holds(receipt) == expected


TestModel = Model.TestCase
