"""What a broker counts: messages that it handed out often, gave up, or handed out while the store was away."""

import hashlib
import random
from collections.abc import Sequence

import pytest
from flow_items import Echo, Time

from pipelines.flow.breaker import Breaker
from pipelines.flow.buffer import Batch, Buffer
from pipelines.flow.credits import Credits
from pipelines.flow.held import Held
from pipelines.flow.intake import Intake
from pipelines.flow.judging import Judge
from pipelines.flow.observer import Unobserved
from pipelines.flow.outbox import Outbox
from pipelines.ports import Delivery, Message
from pipelines.store.memory import MemoryStore
from pipelines.store.port import StoreAway
from schemas.dead_letters import Replay
from schemas.jobs import Submission
from schemas.model_spec import Limits
from schemas.reasons import Reason
from schemas.verdicts import Dead, Verdict

MOST = Limits().max_deliveries

GAVE_UP = Dead(Reason.GIVEN_UP, "SQS gave its message up after 100 receives", charged=False)


class Fleet:
    models = ("m",)

    def find(self, model: str, version: str) -> Echo | None:
        return Echo()


class Queue:
    def __init__(self, messages: Sequence[Message]) -> None:
        self.waiting = [Delivery(message.id, message) for message in messages]

    def receive(self, most: int) -> list[Delivery]:
        got, self.waiting = self.waiting[:most], self.waiting[most:]
        return got

    def extend(self, deliveries: Sequence[Delivery]) -> list[Delivery]:
        return list(deliveries)

    def settle(self, settled: Sequence[tuple[Delivery, Verdict]]) -> None: ...


class Desk:
    """An intake on a store with the rows that its messages name."""

    def __init__(self, *messages: Message) -> None:
        time = Time()
        self.store = MemoryStore(lambda: time.now, broker=True)
        rows = [Submission(each.id, "default", "m", "1", b"{}", hashlib.sha256(b"").digest()) for each in messages]
        self.store.submit(rows)
        self.buffer, self.outbox = Buffer(time), Outbox()
        self.intake = Intake(
            Queue(messages), self.store, Fleet(), self.buffer, self.outbox, Held(), Credits(100, 1 << 20),
            Judge(random.Random(1)), Breaker(time), time, Unobserved(), lease=30.0,
        )  # fmt: skip

    def verdicts(self) -> dict[str, Verdict]:
        return {entry.delivery.receipt: entry.verdict for entry in self.outbox.take()}

    def batches(self) -> list[tuple[list[str], bool]]:
        """What goes together, and whether alone."""
        found = []
        while isinstance(batch := self.buffer.take(quiet=True), Batch):
            found.append(([item.claim.id for item in batch.items], batch.alone))
        return found


def test_what_came_too_often_runs_alone_and_is_not_dead() -> None:
    desk = Desk(Message("a", 0, received=MOST), Message("b", 0, received=MOST + 1), Message("c", 0, received=500))
    desk.intake.step()
    assert desk.verdicts() == {}
    assert sorted(desk.batches()) == [(["a"], False), (["b"], True), (["c"], True)]


def test_what_the_broker_gave_up_is_dead_and_was_not_charged() -> None:
    desk = Desk(Message("a", 0, received=101, doom=GAVE_UP), Message("b", 0))
    desk.intake.step()
    assert desk.verdicts() == {"a": GAVE_UP}
    assert desk.batches() == [(["b"], False)]


def test_a_row_that_was_replayed_since_runs() -> None:
    desk = Desk(Message("a", 0, doom=GAVE_UP))
    (claim,) = desk.store.claim([Message("a", 0)], ["m"], 30.0)[0]
    desk.store.record([(claim, Dead(Reason.MODEL_ERROR, "boom"))])
    desk.store.replay(None, [Replay("a", 0)])
    desk.intake.step()
    assert desk.verdicts() == {}
    assert desk.batches() == [(["a"], False)]


def test_a_row_that_somebody_holds_is_left_to_them() -> None:
    desk = Desk(Message("a", 0, doom=GAVE_UP))
    desk.store.claim([Message("a", 0)], ["m"], 30.0)
    desk.intake.step()
    (entry,) = desk.outbox.take()
    assert not entry.record


def test_what_came_while_the_store_was_away_is_claimed_once_it_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(Message("a", 0), Message("b", 0))

    def away(*_: object) -> None:
        raise StoreAway("store: away")

    with monkeypatch.context() as patch:
        patch.setattr(desk.store, "claim", away)
        for _ in range(2):
            with pytest.raises(StoreAway):
                desk.intake.step()
    assert desk.intake.step() == 2
    assert desk.batches() == [(["a", "b"], False)]
    assert desk.intake.step() == 0
