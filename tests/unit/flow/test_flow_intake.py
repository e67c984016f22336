"""Intake: what cannot run here gets its verdict here; the rest waits, decoded."""

import random
from collections.abc import Sequence
from typing import Any

from flow_items import Echo, Time, claim, item

from pipelines.flow.breaker import FIRST_PAUSE_S, TRIPS_AT, Breaker
from pipelines.flow.buffer import Batch, Buffer
from pipelines.flow.credits import Credits
from pipelines.flow.held import Held
from pipelines.flow.intake import NOT_SERVED_DELAY_S, Intake
from pipelines.flow.judging import Judge
from pipelines.flow.observer import Unobserved
from pipelines.flow.outbox import Outbox
from pipelines.flow.preparing import Preparer
from pipelines.flow.served import HookFailed, InvalidOutput, Prepared, Served
from pipelines.flow.watch import Watch
from pipelines.ports import Delivery, InvalidInput, Message
from pipelines.store.memory import MemoryStore
from schemas.dead_letters import Replay
from schemas.jobs import Claim, Submission
from schemas.model_spec import Limits
from schemas.reasons import Reason
from schemas.states import State
from schemas.verdicts import Dead, Release, Retry, Verdict


class Fleet:
    models = ("m",)

    def find(self, model: str, version: str) -> Served | None:
        return Echo() if (model, version) == ("m", "1") else None


class Queue:
    """Receive is the claim."""

    def __init__(self, claims: Sequence[Claim]) -> None:
        self.waiting = [Delivery(given.seq, claim=given) for given in claims]
        self.asked: list[int] = []

    def receive(self, most: int) -> list[Delivery]:
        self.asked.append(most)
        got, self.waiting = self.waiting[:most], self.waiting[most:]
        return got

    def extend(self, deliveries: Sequence[Delivery]) -> list[Delivery]:
        return list(deliveries)

    def settle(self, settled: Sequence[tuple[Delivery, Verdict]]) -> None: ...


class Desk:
    """An intake and what is around it."""

    def __init__(self, *claims: Claim, credits: int = 100, size: int = 1 << 20) -> None:
        self.time = Time()
        self.queue = Queue(claims)
        self.buffer, self.outbox, self.held = Buffer(self.time), Outbox(), Held()
        self.breaker, self.judge = Breaker(self.time), Judge(random.Random(1))
        self.credits = Credits(credits, size)
        self.intake = Intake(
            self.queue, MemoryStore(lambda: 0.0, False), Fleet(), self.buffer, self.outbox, self.held, self.credits,
            self.judge, self.breaker, self.time, Unobserved(), lease=30.0,
        )  # fmt: skip

    def verdicts(self) -> dict[Any, Verdict]:
        return {entry.delivery.receipt: entry.verdict for entry in self.outbox.take()}

    def waiting(self) -> list[int]:
        found = []
        while isinstance(batch := self.buffer.take(quiet=True), Batch):
            found += [each.claim.seq for each in batch.items]
        return found


def test_what_is_good_waits_and_what_is_bad_is_dead() -> None:
    desk = Desk(claim(1), claim(2, inputs=b"bad"), claim(3))
    assert desk.intake.step() == 3
    assert desk.waiting() == [1, 3]
    assert desk.verdicts() == {2: Dead(Reason.INVALID_INPUT, "inputs.x: bad")}
    assert len(desk.held) == 3, "its lease is kept until its verdict is recorded"


def test_what_is_not_served_here_goes_back_uncharged() -> None:
    desk = Desk(claim(1, version="2"), claim(2, model="n"))
    desk.intake.step()
    assert desk.verdicts() == {1: Release(NOT_SERVED_DELAY_S), 2: Release(NOT_SERVED_DELAY_S)}


def test_a_paused_model_goes_back_for_as_long_as_it_is_paused() -> None:
    desk = Desk(claim(1))
    failed = [claim(n) for n in range(TRIPS_AT)]
    desk.breaker.note("m", "1", [Retry(Reason.MODEL_ERROR, "boom", 0)] * TRIPS_AT, failed)
    desk.intake.step()
    assert desk.verdicts() == {1: Release(FIRST_PAUSE_S)}


def test_what_kills_its_worker_is_dead_instead_of_started() -> None:
    most = Limits().max_deliveries
    desk = Desk(claim(1, starts=most), claim(2, starts=most - 1), claim(3, lost=2, inputs=b"bad"))
    desk.intake.step()
    (dead,) = desk.verdicts().values()
    assert isinstance(dead, Dead)
    assert dead.reason is Reason.CRASHED
    assert sorted(desk.waiting()) == [2, 3], "3 is decoded only once its start is counted"


def test_no_credit_no_receive() -> None:
    desk = Desk(*(claim(n, inputs=b"x" * 10) for n in range(6)), credits=4, size=15)
    assert desk.intake.step() == 4
    assert desk.intake.step() == 0
    desk.credits.give(1, 10)
    assert desk.intake.step() == 0, "items would fit, bytes do not"
    desk.credits.give(3, 30)
    assert desk.intake.step() == 2
    assert desk.queue.asked == [4, 4]


class Broken(Echo):
    def prepare(self, raws: Sequence[bytes]) -> list[Prepared | InvalidInput | HookFailed]:
        return [HookFailed("preprocess: KeyError: 'x'") for _ in raws]

    def finish(self, outputs: Sequence[Any]) -> list[bytes | InvalidOutput]:
        return []


def test_a_broken_hook_is_charged_and_trips_the_breaker() -> None:
    breaker = Breaker(Time())
    items = [item(n, served=Broken()) for n in range(TRIPS_AT)]
    ready, refused = Preparer(Judge(random.Random(1)), breaker, Watch(Time())).prepare(Broken(), items)
    assert not ready
    assert all(isinstance(verdict, Retry) and verdict.reason is Reason.MODEL_ERROR for _, verdict in refused)
    assert breaker.pause_left("m", "1") > 0


class Brought:
    """A broker's queue: what it hands out names rows."""

    def __init__(self, messages: Sequence[Message]) -> None:
        self.waiting = [Delivery(n, message) for n, message in enumerate(messages)]

    def receive(self, most: int) -> list[Delivery]:
        got, self.waiting = self.waiting[:most], self.waiting[most:]
        return got

    def extend(self, deliveries: Sequence[Delivery]) -> list[Delivery]:
        return list(deliveries)

    def settle(self, settled: Sequence[tuple[Delivery, Verdict]]) -> None: ...


DOOM = Dead(Reason.INVALID_INPUT, "no model 'n'")


def brought(store: MemoryStore, *messages: Message) -> Desk:
    desk = Desk(credits=4)
    desk.intake = Intake(
        Brought(messages), store, Fleet(), desk.buffer, desk.outbox, desk.held, desk.credits,
        desk.judge, desk.breaker, desk.time, Unobserved(), lease=30.0,
    )  # fmt: skip
    return desk


def submitted(*named: tuple[str, str, str]) -> MemoryStore:
    """By id, tenant, model."""
    store = MemoryStore(lambda: 0.0, True)
    store.submit([Submission(id, tenant, model, "1", b"{}", b"") for id, tenant, model in named])
    return store


def test_what_was_decided_before_its_claim_is_recorded_even_of_a_model_not_served_here() -> None:
    store = submitted(("a", "t", "n"), ("b", "t", "m"))
    desk = brought(store, Message("a", 0, model="n", tenant="t", doom=DOOM), Message("b", 0))
    desk.intake.step()
    assert desk.verdicts() == {0: DOOM}
    assert desk.waiting() == [2]


def test_what_was_decided_counts_though_another_message_of_the_row_comes_first() -> None:
    """Else the model that nobody serves gives the row back, and its end is settled with the message that knew of it."""
    store = submitted(("a", "t", "n"))
    desk = brought(store, Message("a", 0), Message("a", 0, model="n", tenant="t", doom=DOOM))
    desk.intake.step()
    assert DOOM in desk.verdicts().values()
    assert store.read(None, ["a"])["a"].state is State.RUNNING  # type: ignore[union-attr]  # a row that is there


def test_what_was_replayed_since_is_not_doomed() -> None:
    store = submitted(("a", "t", "m"))
    claims, _ = store.claim([Message("a", 0)], ["m"], 30)
    store.record([(claims[0], DOOM)])
    assert store.replay("t", [Replay("a", 0, by="me")]) == ["a"]
    desk = brought(store, Message("a", 0, model="m", tenant="t", doom=DOOM))
    desk.intake.step()
    assert desk.verdicts() == {}
    assert desk.waiting() == [1]


def test_rows_of_two_tenants_under_one_id_both_run_and_only_its_own_is_doomed() -> None:
    store = submitted(("a", "t", "m"), ("a", "u", "m"))
    desk = brought(store, Message("a", 0, model="m", tenant="t", doom=DOOM))
    desk.intake.step()
    assert desk.credits.room() == 2
    assert desk.verdicts() == {0: DOOM}
    assert desk.waiting() == [2]
