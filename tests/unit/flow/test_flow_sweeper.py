"""The sweeper: what it does about a broker that lost its messages."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pipelines.flow.observer import Unobserved
from pipelines.flow.sweeper import Sweeper, SweepPlan
from pipelines.ports import Message
from pipelines.store.opening import open_store
from pipelines.store.port import StoreAway
from pipelines.store.sql import SqlStore
from schemas.jobs import Submission


class Broker:
    """Takes everything, and loses what it is told to have lost."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.losing: list[str] = []

    def send(self, messages: Sequence[Message], delay: float = 0.0) -> list[bool]:
        self.sent += [message.id for message in messages]
        return [True] * len(messages)

    def answers(self) -> bool:
        return True

    def lost(self) -> list[str]:
        told, self.losing = self.losing, []
        return told


class Nobody:
    """Is told of nothing."""

    def work(self) -> None: ...
    def ended(self, ids: Sequence[str]) -> None: ...
    def listen(self, on_work: Any = None, on_ended: Any = None) -> Any: ...


def process(store: SqlStore) -> tuple[Sweeper, Broker]:
    broker = Broker()
    return Sweeper(store, Nobody(), Unobserved(), SweepPlan(), broker), broker


def test_what_a_broker_lost_is_sent_again_once_however_many_saw_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores = [open_store(f"sqlite:///{tmp_path}/store.db", broker=True) for _ in range(2)]
    (first, its), (second, others) = (process(store) for store in stores)
    stores[0].submit([Submission(f"j{n}", "default", "m", "1", b"{}", b"%d" % n) for n in range(3)])
    first.step()
    assert its.sent == ["j0", "j1", "j2"]
    its.losing, others.losing = ["m"], ["m"]

    def away(models: Sequence[str]) -> int:
        raise StoreAway("store: away")

    with monkeypatch.context() as patch:
        patch.setattr(stores[0], "unsend", away)
        first.step()
    assert first.away == "store: away"
    for sweeper in (first, second, first):
        sweeper.step()
    assert sorted(its.sent + others.sent) == ["j0", "j0", "j1", "j1", "j2", "j2"]
    for store in stores:
        store.close()
