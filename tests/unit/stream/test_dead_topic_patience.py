"""How long a replay or discard waits for its brokers."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest
from confluent_kafka import Message

from pipelines.dead_topics.letter import Letter
from pipelines.dead_topics.pace import Pace
from pipelines.dead_topics.settled import Settled
from pipelines.dead_topics.settling import PATIENCE_S, Settling
from pipelines.dead_topics.topic import DeadTopic, Part
from pipelines.dead_topics.verdicts import Discarded
from pipelines.kafka.faults import KafkaAway
from pipelines.stream.sinks import Undone
from pipelines.stream.transactions import Transactions

AWAY = "kafka: no transactions: Timed out"


class Ticking:
    """Every answer that does not come takes half a minute."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now


class Brokers:
    """A topic with one letter, and transactions on brokers that are away `times` times once the first commit was tried."""

    def __init__(self, times: float) -> None:
        self.clock = Ticking()
        self.times = times
        self.committed = Settled(0)
        self.commits = 0
        self.topic = "dead"

    def group(self) -> None: ...

    def letters(self, part: Part) -> list[Letter]:
        message = SimpleNamespace(offset=lambda: 0, partition=lambda: 0, value=lambda: b"{}")
        return [Letter(cast(Message, message), None)]

    def settled(self, numbers: Sequence[int]) -> dict[int, Settled]:
        return {0: self.committed}

    def begin(self, group: Any) -> None: ...

    def send(self, produce: Any, what: str) -> None: ...

    def commit_at(self, positions: Any) -> None:
        self.commits += 1
        if self.commits == 1:
            raise Undone("kafka: offsets: no answer within 6 s")
        self.committed = Settled(1)

    def abort(self) -> None: ...

    def renew(self) -> None:
        if self.times:
            self.times -= 1
            self.clock.now += 30
            raise KafkaAway(AWAY)


def discard(brokers: Brokers, said: list[str]) -> int:
    settling = Settling(
        cast(DeadTopic, brokers), cast(Transactions, brokers), Pace(None, brokers.clock, lambda s: None), brokers.clock,
        said.append,
    )  # fmt: skip
    part = Part(0, Settled(0), Settled(0), 0, 1)
    return sum(len(chunk) for chunk in settling.run([part], Discarded, None))


def test_a_new_producer_is_asked_for_again_while_the_brokers_are_away() -> None:
    brokers, said = Brokers(times=3), list[str]()
    assert discard(brokers, said) == 1
    assert brokers.committed == Settled(1)
    assert said == ["kafka: offsets: no answer within 6 s; trying again"] + 3 * [f"{AWAY}; trying again"]


def test_brokers_that_stay_away_end_it_in_one_line() -> None:
    brokers = Brokers(times=float("inf"))
    with pytest.raises(KafkaAway, match=f"{AWAY}; what was told is done, the rest is as it was"):
        discard(brokers, [])
    assert PATIENCE_S < brokers.clock.now <= PATIENCE_S + 60
    assert brokers.committed == Settled(0)
