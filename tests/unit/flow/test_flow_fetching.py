"""Inputs that are elsewhere are fetched while others run; large results are put before they are recorded."""

import random
import threading
from collections.abc import Callable, Sequence

import pytest
from flow_items import Echo, Time, claim, item
from msgspec.structs import replace
from test_flow_intake import Desk

from pipelines.flow.depositing import Depositor
from pipelines.flow.fetching import LEAST_DELAY_S, MOST_DELAY_S, PATIENCE_S, Allowance, Fetcher
from pipelines.flow.item import Item
from pipelines.flow.outbox import Entry, Outbox
from pipelines.payloads import keys
from pipelines.payloads.memory import MemoryPayloads
from pipelines.payloads.port import PayloadsAway
from pipelines.ports import Delivery
from schemas.jobs import Claim
from schemas.model_spec import Limits
from schemas.reasons import Reason
from schemas.verdicts import Dead, Done, Release, Verdict

DATA = b'{"x": 1}'


class Storage:
    """Payloads that the test makes slow, or takes away."""

    def __init__(self) -> None:
        self.time = Time()
        self.fault: Callable[[str], None] = lambda key: None
        self.payloads = MemoryPayloads(self.time.monotonic, lambda key: self.fault(key))

    def large(self, seq: int = 1, data: bytes = DATA, **changes: object) -> Claim:
        made = claim(seq, inputs=b"", **changes)
        ref = keys.of_input(made.tenant, made.id, 0, data)
        self.payloads.hold(ref, data)
        return replace(made, inputs_ref=ref, size=len(data))

    def away(self, key: str) -> None:
        raise PayloadsAway("payloads: away")


class Bench:
    """A fetcher and what is around it."""

    def __init__(self, items: int = 4, size: int = 1 << 20) -> None:
        self.storage = Storage()
        self.outbox = Outbox()
        self.fetcher = Fetcher(
            self.storage.payloads, self.outbox, self.storage.time, random.Random(1), Allowance(items, size)
        )

    def put(self, *seqs: int, **changes: object) -> list[Item]:
        now = self.storage.time.monotonic()
        items = []
        for seq in seqs:
            given = self.storage.large(seq, **changes)
            items.append(Item(Delivery(seq, claim=given), given, Echo(), now, seq))
        self.fetcher.put(items)
        return items

    def verdicts(self) -> dict[int, Verdict]:
        return {entry.delivery.receipt: entry.verdict for entry in self.outbox.take()}


def test_what_was_fetched_is_taken_once_with_its_input() -> None:
    bench = Bench()
    bench.put(1, 2)
    told: list[int] = []
    bench.fetcher.on_fetched = lambda: told.append(1)
    assert [bench.fetcher.step() for _ in range(3)] == [1, 1, 0]
    assert [(each.claim.seq, each.claim.inputs) for each in bench.fetcher.take()] == [(1, DATA), (2, DATA)]
    assert bench.fetcher.take() == []
    assert told == [1, 1]
    assert not bench.verdicts()


def test_a_storage_that_is_away_costs_no_attempt_and_the_longer_a_job_waited_the_later() -> None:
    bench = Bench()
    bench.storage.fault = bench.storage.away
    bench.put(1)
    bench.put(2, waited=400.0)
    bench.put(3, waited=1e6)
    while bench.fetcher.step():
        pass
    delays = {seq: verdict.delay for seq, verdict in bench.verdicts().items() if isinstance(verdict, Release)}
    assert LEAST_DELAY_S / 2 <= delays[1] <= LEAST_DELAY_S
    assert 50 <= delays[2] <= 100
    assert MOST_DELAY_S / 2 <= delays[3] <= MOST_DELAY_S


def test_what_is_not_there_or_not_as_it_was_is_dead() -> None:
    bench = Bench()
    gone, cut = bench.put(1, 2)
    assert gone.claim.inputs_ref is not None
    assert cut.claim.inputs_ref is not None
    bench.storage.payloads.remove([gone.claim.inputs_ref])
    bench.storage.payloads.hold(cut.claim.inputs_ref, DATA[:-1])
    item_of_nobody = bench.put(3)[0]
    item_of_nobody.claim = replace(item_of_nobody.claim, inputs_ref="../../etc/passwd")
    while bench.fetcher.step():
        pass
    verdicts = bench.verdicts()
    assert all(isinstance(v, Dead) and v.reason is Reason.PAYLOAD_MISSING for v in verdicts.values())
    assert gone.claim.inputs_ref in verdicts[1].error  # type: ignore[union-attr]
    assert "7 bytes, expected 8" in verdicts[2].error  # type: ignore[union-attr]


def test_an_upload_larger_than_the_model_takes_is_dead_unread() -> None:
    bench = Bench()
    bench.storage.fault = lambda key: pytest.fail(f"fetched {key}")
    given = replace(bench.storage.large(1), inputs_ref=f"default/uploads/{1:032x}", size=1001)
    served = Echo(limits=Limits(max_upload_bytes=1000))
    bench.fetcher.put([Item(Delivery(1, claim=given), given, served, 0.0, 1)])
    bench.fetcher.step()
    error = "inputs: an upload of 1001 bytes, expected at most 1000 (limits.max_upload_bytes)"
    assert bench.verdicts() == {1: Dead(Reason.INVALID_INPUT, error)}


def test_what_came_through_a_submission_was_checked_there() -> None:
    bench = Bench()
    given = bench.storage.large(1)
    served = Echo(limits=Limits(max_upload_bytes=1))
    bench.fetcher.put([Item(Delivery(1, claim=given), given, served, 0.0, 1)])
    bench.fetcher.step()
    assert [each.claim.inputs for each in bench.fetcher.take()] == [DATA]


def test_what_lost_its_lease_meanwhile_leaves_wherever_it_is() -> None:
    bench = Bench()
    (fetched,) = bench.put(1)
    bench.fetcher.step()
    waiting, kept = bench.put(2, 3)
    fetched.lost = waiting.lost = True
    bench.fetcher.drop_lost()
    assert {entry.delivery.receipt: entry.record for entry in bench.outbox.take()} == {1: False, 2: False}
    bench.fetcher.step()
    assert bench.fetcher.take() == [kept]


def test_a_lease_lost_while_it_is_fetched_is_let_go_at_once_and_only_once() -> None:
    bench = Bench()
    (running,) = bench.put(1)

    def lose(key: str) -> None:
        running.lost = True
        bench.fetcher.drop_lost()

    bench.storage.fault = lose
    bench.fetcher.step()
    assert [(entry.delivery.receipt, entry.record) for entry in bench.outbox.take()] == [(1, False)]
    assert bench.fetcher.take() == []
    assert len(bench.fetcher) == 0


def test_a_drain_gives_back_what_waits_what_is_fetched_and_what_is_being_fetched() -> None:
    bench = Bench()
    bench.put(1, 2, 3)
    bench.fetcher.step()
    bench.storage.fault = lambda key: bench.fetcher.give_back()
    bench.fetcher.step()
    assert bench.verdicts() == {1: Release(), 2: Release(), 3: Release()}
    assert bench.fetcher.take() == []
    assert bench.fetcher.step() == 0


def test_a_burst_is_kept_and_only_a_slow_storage_gives_back_what_is_beyond_the_allowance() -> None:
    bench = Bench(items=4)
    bench.put(*range(10))
    bench.fetcher.take()
    assert not bench.verdicts(), "it may be fetched in a moment"
    bench.storage.time.now += PATIENCE_S
    bench.fetcher.take()
    assert sorted(bench.verdicts()) == [4, 5, 6, 7, 8, 9], "the newest"
    bench.put(10)
    bench.fetcher.take()
    assert sorted(bench.verdicts()) == [10]


def test_the_oldest_stays_however_large_it_is() -> None:
    bench = Bench(size=1)
    bench.put(1, 2)
    bench.storage.time.now += PATIENCE_S
    bench.fetcher.take()
    assert sorted(bench.verdicts()) == [2]


class Intake:
    """The intake's desk with a fetcher."""

    def __init__(self, *claims: Claim, storage: Storage, credits: int = 100, size: int = 1 << 20) -> None:
        self.desk = Desk(*claims, credits=credits, size=size)
        self.fetcher = Fetcher(
            storage.payloads, self.desk.outbox, self.desk.time, random.Random(1), Allowance(credits // 2, size // 2)
        )
        self.desk.intake._fetcher = self.fetcher

    def step(self) -> int:
        return self.desk.intake.step()


def test_small_jobs_do_not_wait_for_a_storage_that_hangs() -> None:
    storage = Storage()
    answer, asked = threading.Event(), threading.Event()

    def hang(key: str) -> None:
        asked.set()
        answer.wait(10)

    storage.fault = hang
    intake = Intake(storage.large(1), claim(2), storage=storage)
    assert intake.step() == 2
    thread = threading.Thread(target=intake.fetcher.step)
    thread.start()
    assert asked.wait(10)
    intake.desk.queue.waiting.append(Delivery(3, claim=claim(3)))
    assert intake.step() == 1
    assert intake.desk.waiting() == [2, 3]
    assert len(intake.desk.held) == 3, "its lease is kept meanwhile"
    answer.set()
    thread.join()
    assert intake.step() == 1
    assert intake.desk.waiting() == [1]


def test_sizes_of_inputs_elsewhere_take_credit() -> None:
    storage = Storage()
    intake = Intake(storage.large(1, b"x" * 100), storage=storage, credits=4, size=50)
    assert intake.step() == 1
    assert intake.desk.credits.room() == 0, "items would fit, bytes do not"
    intake.desk.credits.give(1, 100)
    assert intake.desk.credits.room() == 4


def test_without_credit_what_was_fetched_is_prepared_all_the_same() -> None:
    storage = Storage()
    intake = Intake(storage.large(1), storage=storage, credits=1)
    intake.step()
    intake.fetcher.step()
    assert intake.step() == 1
    assert intake.desk.waiting() == [1]


def test_a_suspect_is_fetched_before_it_is_started_and_decoded_after() -> None:
    storage = Storage()
    intake = Intake(storage.large(1, starts=1), storage.large(2, starts=Limits().max_deliveries), storage=storage)
    intake.step()
    assert [type(verdict) for verdict in intake.desk.verdicts().values()] == [Dead], "what kills is not even fetched"
    assert len(intake.fetcher) == 1
    intake.fetcher.step()
    intake.step()
    batch = intake.desk.buffer.take(quiet=True)
    (suspect,) = batch.items  # type: ignore[union-attr]
    assert (suspect.claim.inputs, suspect.prepared) == (DATA, None)


def test_an_invalid_input_is_dead_wherever_it_was() -> None:
    storage = Storage()
    intake = Intake(storage.large(1, b"bad"), storage=storage)
    intake.step()
    intake.fetcher.step()
    intake.step()
    assert intake.desk.verdicts() == {1: Dead(Reason.INVALID_INPUT, "inputs.x: bad")}


def test_without_payloads_such_a_job_goes_back() -> None:
    desk = Desk(Storage().large(1))
    desk.intake.step()
    (verdict,) = desk.verdicts().values()
    assert isinstance(verdict, Release)


class Results:
    def __init__(self, inline: int = 10) -> None:
        self.storage = Storage()
        self.outbox = Outbox(inline)
        self.depositor = Depositor(self.storage.payloads, self.outbox)

    def put(self, results: Sequence[bytes]) -> None:
        self.outbox.put([Entry(item(n).delivery, Done(result)) for n, result in enumerate(results)])


def test_large_results_are_put_before_they_are_recorded_and_small_ones_do_not_wait() -> None:
    bench = Results()
    bench.put([b"small", b"l" * 11, b"ten bytes!", b"m" * 12])
    assert [entry.verdict for entry in bench.outbox.take()] == [Done(b"small"), Done(b"ten bytes!")]
    assert bench.outbox.take() == []
    assert not bench.outbox.quiet(), "a suspect waits for these, too"
    assert [bench.depositor.step() for _ in range(3)] == [1, 1, 0]
    verdicts = [entry.verdict for entry in bench.outbox.take()]
    refs = [verdict.ref for verdict in verdicts if isinstance(verdict, Done) and verdict.result == b""]
    assert [bench.storage.payloads.held[ref] for ref in refs if ref] == [b"l" * 11, b"m" * 12]
    bench.outbox.done(4)
    assert bench.outbox.quiet()


def test_a_result_is_kept_while_the_storage_is_away() -> None:
    bench = Results()
    bench.storage.fault = bench.storage.away
    bench.put([b"l" * 11])
    bench.outbox.take()
    with pytest.raises(PayloadsAway):
        bench.depositor.step()
    assert bench.outbox.take() == []
    bench.storage.fault = lambda key: None
    assert bench.depositor.step() == 1
    assert len(bench.outbox.take()) == 1


def test_a_drain_out_of_time_gives_the_jobs_of_large_results_back() -> None:
    bench = Results()
    bench.put([b"l" * 11, b"m" * 11])
    bench.outbox.take()
    running = bench.outbox.take_large(0.0)
    assert running is not None
    bench.outbox.release_large()
    assert [entry.verdict for entry in bench.outbox.take()] == [Release(), Release()]
    bench.outbox.deposited(running, "ref")
    assert bench.outbox.take() == [], "too late"
