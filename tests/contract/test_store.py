"""The store's contract (pipelines/store/port.py), the same over memory, SQLite and PostgreSQL."""

import hashlib
import itertools
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from pipelines.payloads import keys
from pipelines.ports import Message
from pipelines.store.memory import MemoryStore
from pipelines.store.opening import open_store
from pipelines.store.port import Discarded, Store
from schemas.dead_letters import DeadLetterFilter, Replay
from schemas.jobs import Accepted, Claim, IdConflict, JobFilter, JobView, KeyConflict, Purged, RefConflict, Submission
from schemas.positions import id_by_content, id_of
from schemas.reasons import Reason
from schemas.states import State
from schemas.strays import Stray
from schemas.verdicts import Dead, Done, Release, Retry, Verdict

LEASE = 30.0


class Subject:
    """A store whose clock the test moves."""

    def __init__(self, store: Any, kind: str) -> None:
        self.store: Store = store
        self.kind = kind
        self.numbers = itertools.count()

    def pass_time(self, seconds: float) -> None:
        if self.kind == "memory":
            self.store.time += seconds  # type: ignore[attr-defined]
        else:
            self.store.db.skew += seconds  # type: ignore[attr-defined]

    def submission(self, **changes: Any) -> Submission:
        number = next(self.numbers)
        inputs = changes.pop("inputs", b'{"x":%d}' % number)
        given: dict[str, Any] = {
            "id": f"job-{number}", "tenant": "default", "model": "m", "version": "1", "inputs": inputs,
            "digest": hashlib.sha256(inputs).digest(),
        }  # fmt: skip
        return Submission(**(given | changes))

    def submit(self, count: int = 1, **changes: Any) -> list[str]:
        submissions = [self.submission(**changes) for _ in range(count)]
        assert all(isinstance(outcome, Accepted) for outcome in self.store.submit(submissions))
        return [submission.id for submission in submissions]

    def claim(self, most: int = 10, models: tuple[str, ...] = ("m",)) -> list[Claim]:
        return self.store.claim_next(models, most, LEASE)

    def view(self, id: str) -> JobView:
        view = self.store.read(None, [id])[id]
        assert isinstance(view, JobView)
        return view

    def state(self, id: str) -> State:
        return self.view(id).state

    def fail(self, id: str, reason: Reason = Reason.MODEL_ERROR, error: str = "boom") -> None:
        claim = next(claim for claim in self.claim(100) if claim.id == id)
        self.store.start([claim])
        assert self.store.record([(claim, Dead(reason, error))]) == [claim.seq]


class Timed(MemoryStore):
    def __init__(self, broker: bool) -> None:
        self.time = 1_000_000.0
        super().__init__(lambda: self.time, broker)


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def _open(kind: str, request: pytest.FixtureRequest, tmp_path: Path, broker: bool) -> Iterator[Subject]:
    if kind == "memory":
        yield Subject(Timed(broker), kind)
        return
    url = f"sqlite:///{tmp_path}/store.db" if kind == "sqlite" else request.getfixturevalue("postgres_url")
    store = open_store(url, broker=broker)
    yield Subject(store, kind)
    store.close()


@pytest.fixture
def subject(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Subject]:
    yield from _open(kind, request, tmp_path, broker=False)


@pytest.fixture
def brokered(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Subject]:
    yield from _open(kind, request, tmp_path, broker=True)


class TestSubmit:
    def test_a_job_is_queued_and_can_be_read_at_once(self, subject: Subject) -> None:
        given = subject.submission(metadata=b'{"a":1}', priority=7, origin="api", expires_in=60.0)
        assert subject.store.submit([given]) == [Accepted(given.id, State.QUEUED, "m", "1", created=True)]
        view = subject.view(given.id)
        assert (view.state, view.priority, view.metadata, view.attempt) == (State.QUEUED, 7, b'{"a":1}', 1)
        assert view.deadline_at == pytest.approx(view.timings.submitted_at + 60, abs=0.01)

    def test_outcomes_come_in_order(self, subject: Subject) -> None:
        given = [subject.submission() for _ in range(50)]
        assert [outcome.id for outcome in subject.store.submit(given)] == [submission.id for submission in given]

    def test_the_same_key_and_body_is_the_same_job(self, subject: Subject) -> None:
        first, again, other = (subject.submission(idempotency_key="k", inputs=b"1") for _ in range(3))
        outcomes = subject.store.submit([first, again]) + subject.store.submit([other])
        assert [(outcome.id, outcome.created) for outcome in outcomes if isinstance(outcome, Accepted)] == [
            (first.id, True),
            (first.id, False),
            (first.id, False),
        ]

    def test_the_same_key_with_another_body_is_refused(self, subject: Subject) -> None:
        first = subject.submission(idempotency_key="k", inputs=b"1")
        subject.store.submit([first])
        other = subject.submission(idempotency_key="k", inputs=b"2")
        beside = subject.submission()
        outcomes = subject.store.submit([other, beside])
        assert outcomes[0] == KeyConflict(first.id)
        assert isinstance(outcomes[1], Accepted)
        assert subject.store.read(None, [other.id]) == {}

    def test_which_keys_have_their_job(self, subject: Subject) -> None:
        subject.submit(1, idempotency_key="k", tenant="a")
        assert subject.store.keyed("a", ["k", "other", "k"]) == {"k"}
        assert subject.store.keyed("b", ["k"]) == subject.store.keyed("a", []) == set()

    def test_keys_are_each_tenants_own(self, subject: Subject) -> None:
        one = subject.submission(idempotency_key="k", inputs=b"1", tenant="a")
        two = subject.submission(idempotency_key="k", inputs=b"2", tenant="b")
        assert [outcome.created for outcome in subject.store.submit([one, two])] == [True, True]  # type: ignore[union-attr]

    def test_an_id_is_one_job_of_a_tenant(self, subject: Subject) -> None:
        one = subject.submission(id="same", inputs=b"1")
        again = subject.submission(id="same", inputs=b"1")
        other = subject.submission(id="same", inputs=b"2")
        foreign = subject.submission(id="same", inputs=b"3", tenant="b")
        subject.store.submit([one])
        outcomes = subject.store.submit([again, other, foreign])
        assert isinstance(outcomes[0], Accepted)
        assert outcomes[1] == IdConflict("same")
        assert isinstance(outcomes[2], Accepted)
        assert len(subject.store.list_jobs(None, JobFilter(), 10).items) == 2

    def test_fifty_racing_submissions_with_one_key_make_one_job(self, subject: Subject) -> None:
        given = [subject.submission(idempotency_key="k", inputs=b"1") for _ in range(50)]
        outcomes: list[Any] = []
        threads = [
            threading.Thread(target=lambda chunk=given[n::10]: outcomes.extend(subject.store.submit(chunk)))
            for n in range(10)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(outcomes) == 50
        assert len({outcome.id for outcome in outcomes}) == 1
        assert sum(outcome.created for outcome in outcomes) == 1


class TestRead:
    def test_unknown_and_foreign_ids_are_missing(self, subject: Subject) -> None:
        (id,) = subject.submit(tenant="a")
        assert subject.store.read("b", [id, "nope"]) == {}
        assert set(subject.store.read("a", [id])) == {id}
        assert set(subject.store.read(None, [id])) == {id}

    def test_listing_is_newest_first_in_pages(self, subject: Subject) -> None:
        ids = subject.submit(5)
        first = subject.store.list_jobs("default", JobFilter(), 3)
        second = subject.store.list_jobs("default", JobFilter(), 3, first.cursor)
        assert [view.id for view in (*first.items, *second.items)] == ids[::-1]
        assert second.cursor is None

    def test_listing_filters(self, subject: Subject) -> None:
        subject.submit(2, model="a")
        (wanted,) = subject.submit(1, model="b", version="2")
        page = subject.store.list_jobs(None, JobFilter(state=State.QUEUED, model="b", version="2", since=0.0), 10)
        assert [view.id for view in page.items] == [wanted]
        assert subject.store.list_jobs(None, JobFilter(until=1.0), 10).items == []

    @pytest.mark.parametrize("cursor", ["", "x", "%%%", "bm90IGpzb24", "WzEsMl0", "WyJhIl0"])
    def test_a_malformed_cursor_is_named(self, subject: Subject, cursor: str) -> None:
        with pytest.raises(ValueError, match="cursor"):
            subject.store.list_jobs(None, JobFilter(), 10, cursor)
        with pytest.raises(ValueError, match="cursor"):
            subject.store.dead_letters(None, DeadLetterFilter(), 10, cursor if cursor != "WzEsMl0" else "W10")

    def test_counts(self, subject: Subject) -> None:
        subject.submit(3)
        subject.claim(1)
        counts = {(count.model, count.state): count.count for count in subject.store.counts()}
        assert counts == {("m", State.QUEUED): 2, ("m", State.RUNNING): 1}

    def test_what_is_finished_counts_only_when_all_are_counted(self, subject: Subject) -> None:
        subject.submit(3)
        claims = subject.claim(2)
        subject.store.record([(claims[0], Done(b"1"))])
        assert {count.state: count.count for count in subject.store.counts(open_only=True)} == {
            State.QUEUED: 1,
            State.RUNNING: 1,
        }
        assert {count.state: count.count for count in subject.store.counts()}[State.SUCCEEDED] == 1

    def test_the_backlog_is_what_is_open_up_to_a_limit(self, subject: Subject) -> None:
        assert subject.store.backlog(10) == 0
        subject.submit(4)
        (claim, _) = subject.claim(2)
        subject.store.record([(claim, Done(b"1"))])
        assert subject.store.backlog(10) == 3
        assert subject.store.backlog(2) == 2


class TestClaim:
    def test_a_claim_carries_the_row(self, subject: Subject) -> None:
        (id,) = subject.submit(1, inputs=b'{"x":[1]}', traceparent="00-a-b-01", priority=3)
        (claim,) = subject.claim()
        assert (claim.id, claim.inputs, claim.priority, claim.traceparent) == (id, b'{"x":[1]}', 3, "00-a-b-01")
        assert (claim.fence, claim.starts, claim.failures, claim.lost, claim.generation) == (1, 0, 0, 0, 0)
        assert subject.state(id) is State.RUNNING

    def test_what_is_leased_is_not_claimed(self, subject: Subject) -> None:
        subject.submit(3)
        assert len(subject.claim(2)) == 2
        assert len(subject.claim(2)) == 1
        assert subject.claim(2) == []

    def test_a_lease_that_ended_is_claimed_again_with_a_higher_fence(self, subject: Subject) -> None:
        subject.submit()
        (first,) = subject.claim()
        subject.pass_time(LEASE + 1)
        (second,) = subject.claim()
        assert (second.fence, second.lost) == (first.fence + 1, 1)
        subject.pass_time(LEASE + 1)
        (third,) = subject.claim()
        assert (third.lost, third.suspect) == (2, True)

    def test_priority_then_age(self, subject: Subject) -> None:
        low = subject.submit(2, priority=1)
        high = subject.submit(2, priority=9)
        assert [claim.id for claim in subject.claim(3)] == [*high, low[0]]

    def test_only_models_that_are_served(self, subject: Subject) -> None:
        subject.submit(1, model="a")
        (b,) = subject.submit(1, model="b")
        assert [claim.id for claim in subject.claim(10, ("b", "c"))] == [b]
        assert subject.claim(10, ()) == []

    def test_models_take_turns(self, subject: Subject) -> None:
        subject.submit(3, model="a")
        subject.submit(3, model="b")
        assert {claim.model for claim in subject.claim(2, ("b", "a"))} == {"b"}
        assert {claim.model for claim in subject.claim(2, ("a", "b"))} == {"a"}

    def test_paused_models_wait(self, subject: Subject) -> None:
        (id,) = subject.submit()
        subject.store.pause("m", True)
        subject.store.pause("m", True)
        assert subject.store.paused() == {"m"}
        assert subject.claim() == []
        assert subject.store.claim([Message(id, 0)], ["m"], LEASE)[0] == []
        subject.store.pause("m", False)
        assert len(subject.claim()) == 1

    def test_bytes_bound_a_claim_but_one_row_always_comes(self, subject: Subject) -> None:
        subject.submit(5, inputs=b"x" * 100)
        assert len(subject.store.claim_next(["m"], 10, LEASE, most_bytes=250)) == 2
        assert len(subject.store.claim_next(["m"], 10, LEASE, most_bytes=1)) == 1

    def test_sixteen_claimers_never_share_a_row(self, subject: Subject) -> None:
        subject.submit(400)
        claimed: list[int] = []

        def work() -> None:
            while claims := subject.claim(7):
                claimed.extend(claim.seq for claim in claims)

        threads = [threading.Thread(target=work) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(claimed) == len(set(claimed)) == 400

    def test_claim_by_message(self, subject: Subject) -> None:
        one, two, later, ended = subject.submit(4)
        subject.store.cancel(None, [ended])
        (held,) = [claim for claim in subject.claim(3) if claim.id == later]
        subject.store.record([(held, Retry(Reason.MODEL_ERROR, "x", delay=40.0))])
        subject.pass_time(LEASE + 1)
        messages = [Message(id, 0) for id in (one, two, later, ended, "unknown")]
        claims, refused = subject.store.claim([*messages, Message(one, 0)], ["m"], LEASE)
        assert sorted(claim.id for claim in claims) == sorted([one, two])
        over = {refusal.id: refusal.over for refusal in refused}
        assert over == {later: False, ended: True, "unknown": True}
        assert next(r for r in refused if r.id == later).delay == pytest.approx(9.0, abs=0.5)

    def test_a_message_of_a_leased_row_is_over(self, subject: Subject) -> None:
        (id,) = subject.submit()
        subject.claim()
        claims, refused = subject.store.claim([Message(id, 0)], ["m"], LEASE)
        assert claims == []
        assert refused[0].over

    def test_a_message_of_an_unserved_model_is_over(self, subject: Subject) -> None:
        (id,) = subject.submit()
        assert subject.store.claim([Message(id, 0)], ["other"], LEASE)[1][0].over


class TestStart:
    def test_a_repeated_start_counts_once(self, subject: Subject) -> None:
        subject.submit()
        (claim,) = subject.claim()
        assert subject.store.start([claim]) == subject.store.start([claim]) == [claim.seq]
        subject.pass_time(LEASE + 1)
        (again,) = subject.claim()
        assert (again.starts, again.suspect) == (1, True)

    def test_canceled_expired_and_stolen_rows_do_not_start(self, subject: Subject) -> None:
        canceled, expired, stolen, good = subject.submit(4, expires_in=None)
        (late,) = subject.submit(1, expires_in=10.0)
        claims = {claim.id: claim for claim in subject.claim()}
        subject.store.cancel(None, [canceled])
        subject.pass_time(11)
        assert subject.store.start([claims[canceled], claims[late], claims[good]]) == [claims[good].seq]
        subject.pass_time(LEASE)
        subject.claim()
        assert subject.store.start([claims[stolen]]) == []
        assert expired in claims

    def test_a_started_row_may_start_again_past_its_deadline(self, subject: Subject) -> None:
        subject.submit(1, expires_in=10.0)
        (claim,) = subject.claim()
        subject.store.start([claim])
        subject.pass_time(11)
        assert subject.store.start([claim]) == [claim.seq]


class TestExtend:
    def test_extending_keeps_others_away(self, subject: Subject) -> None:
        subject.submit()
        (claim,) = subject.claim()
        subject.pass_time(LEASE - 1)
        assert subject.store.extend([claim], LEASE) == [claim.seq]
        subject.pass_time(LEASE - 1)
        assert subject.claim() == []

    def test_a_lapsed_lease_may_be_revived_until_somebody_claims(self, subject: Subject) -> None:
        subject.submit()
        (claim,) = subject.claim()
        subject.pass_time(LEASE + 1)
        assert subject.store.extend([claim], LEASE) == [claim.seq]
        subject.pass_time(LEASE + 1)
        subject.claim()
        assert subject.store.extend([claim], LEASE) == []

    def test_canceled_is_lost(self, subject: Subject) -> None:
        (id,) = subject.submit()
        (claim,) = subject.claim()
        subject.store.cancel(None, [id])
        assert subject.store.extend([claim], LEASE) == []


class TestRecord:
    def test_done(self, subject: Subject) -> None:
        (id,) = subject.submit()
        (claim,) = subject.claim()
        subject.store.start([claim])
        result = '{"text":"a\\u0000b ü"}'.encode()
        assert subject.store.record([(claim, Done(result))]) == [claim.seq]
        view = subject.view(id)
        assert (view.state, view.result, view.error) == (State.SUCCEEDED, result, None)
        assert view.timings.finished_at is not None
        assert view.timings.started_at is not None

    def test_every_verdict_in_one_call(self, subject: Subject) -> None:
        ids = subject.submit(5)
        claims = subject.claim()
        subject.store.start(claims)
        verdicts = [
            Done(b"{}"),
            Dead(Reason.INVALID_INPUT, "bad \0 input"),
            Retry(Reason.MODEL_ERROR, "boom", delay=5.0),
            Release(),
            Release(suspect=True),
        ]
        recorded = subject.store.record(list(zip(claims, verdicts, strict=True)))
        assert sorted(recorded) == sorted(claim.seq for claim in claims)
        assert [subject.state(id).value for id in ids] == ["succeeded", "failed", "queued", "queued", "queued"]
        again = {claim.id: claim for claim in subject.claim()}
        assert set(again) == {ids[3], ids[4]}
        released, suspect = again[ids[3]], again[ids[4]]
        assert (released.starts, released.failures, released.lost, released.suspect) == (0, 0, 0, False)
        assert (suspect.starts, suspect.failures, suspect.suspect) == (1, 0, True)
        subject.pass_time(6)
        (retried,) = subject.claim()
        assert (retried.id, retried.starts, retried.failures, retried.attempt) == (ids[2], 0, 1, 2)

    def test_an_older_fence_changes_nothing(self, subject: Subject) -> None:
        (id,) = subject.submit()
        (stale,) = subject.claim()
        subject.pass_time(LEASE + 1)
        (fresh,) = subject.claim()
        assert subject.store.record([(stale, Done(b'"stale"'))]) == []
        assert subject.store.record([(fresh, Done(b'"fresh"'))]) == [fresh.seq]
        assert subject.store.record([(stale, Dead(Reason.CRASHED, "x"))]) == []
        assert subject.view(id).result == b'"fresh"'

    def test_a_thawed_workers_result_counts_while_nobody_else_claimed(self, subject: Subject) -> None:
        (id,) = subject.submit()
        (claim,) = subject.claim()
        subject.pass_time(LEASE * 10)
        assert subject.store.record([(claim, Done(b"{}"))]) == [claim.seq]
        assert subject.state(id) is State.SUCCEEDED

    def test_terminal_states_absorb(self, subject: Subject) -> None:
        (id,) = subject.submit()
        (claim,) = subject.claim()
        subject.store.cancel(None, [id])
        assert subject.store.record([(claim, Done(b"{}"))]) == []
        assert subject.view(id).result is None

    def test_a_release_keeps_the_count_of_starts(self, subject: Subject) -> None:
        subject.submit()
        (claim,) = subject.claim()
        subject.store.start([claim])
        subject.pass_time(LEASE + 1)
        (again,) = subject.claim()
        subject.store.record([(again, Release())])
        (third,) = subject.claim()
        assert (third.starts, third.lost) == (1, 1)

    def test_large_batches_and_results(self, subject: Subject) -> None:
        subject.submit(500)
        claims = subject.claim(500)
        result = msgspec.json.encode({"x": "y" * 20_000})
        assert len(subject.store.record([(claim, Done(result)) for claim in claims])) == 500
        assert subject.view(claims[0].id).result == result


class TestCancel:
    def test_queued_and_running_are_canceled_finished_stays(self, subject: Subject) -> None:
        done, running, queued = subject.submit(3)
        claims = subject.claim(2)
        subject.store.record([(claims[0], Done(b"{}"))])
        states = subject.store.cancel("default", [done, running, queued, "unknown"])
        assert {id: view.state for id, view in states.items() if isinstance(view, JobView)} == {
            done: State.SUCCEEDED,
            running: State.CANCELED,
            queued: State.CANCELED,
        }

    def test_another_tenants_job_is_not_touched(self, subject: Subject) -> None:
        (id,) = subject.submit(tenant="a")
        assert subject.store.cancel("b", [id]) == {}
        assert subject.state(id) is State.QUEUED


class TestSweep:
    def test_what_is_not_started_expires(self, subject: Subject) -> None:
        queued, claimed, started = subject.submit(3, expires_in=10.0)
        (lasting,) = subject.submit()
        by_id = {
            claim.id: claim
            for claim in subject.store.claim([Message(i, 0) for i in (claimed, started)], ["m"], LEASE)[0]
        }
        subject.store.start([by_id[started]])
        subject.pass_time(11)
        swept = subject.store.sweep(1e6, 1e6)
        assert swept is not None
        assert sorted(swept.expired) == sorted([queued, claimed])
        assert (subject.state(started), subject.state(lasting)) == (State.RUNNING, State.QUEUED)
        subject.pass_time(LEASE)
        swept = subject.store.sweep(1e6, 1e6)
        assert swept is not None
        assert swept.expired == [started]

    def test_an_expired_row_is_not_claimed_even_before_the_sweep(self, subject: Subject) -> None:
        subject.submit(1, expires_in=10.0)
        subject.pass_time(11)
        assert subject.claim() == []

    def test_retention_purges_and_a_tombstone_answers(self, subject: Subject) -> None:
        (old,) = subject.submit()
        subject.store.cancel(None, [old])
        subject.pass_time(100)
        (young,) = subject.submit()
        subject.store.cancel(None, [young])
        swept = subject.store.sweep(50.0, 1000.0)
        assert swept is not None
        assert swept.purged == 1
        assert subject.store.read("default", [old])[old] == Purged(old)
        assert subject.store.read("other", [old]) == {}
        assert subject.store.purged("default", [old, young, "unknown"]) == subject.store.purged(None, [old]) == {old}
        assert subject.store.purged("other", [old]) == subject.store.purged(None, []) == set()
        assert subject.state(young) is State.CANCELED
        subject.pass_time(1001)
        subject.store.sweep(1e6, 1000.0)
        assert subject.store.read("default", [old]) == {}

    def test_an_id_made_of_a_place_is_buried_with_its_content(self, subject: Subject) -> None:
        given = subject.submission(id=id_of("jobs-0@1"), origin="jobs-0@1")
        chosen = subject.submission(origin="jobs-0@2")
        subject.store.submit([given, chosen])
        subject.store.cancel(None, [given.id, chosen.id])
        subject.store.sweep(0.0, 1e9)
        same, other = id_by_content("jobs-0@1", given.digest), id_by_content("jobs-0@1", chosen.digest)
        beside = id_by_content("jobs-0@2", chosen.digest)
        assert subject.store.purged("default", [same, other, beside]) == {same}

    @pytest.mark.parametrize("way", ["purged", "discarded"])
    def test_a_claim_of_a_job_that_is_gone_holds_no_other_job(self, subject: Subject, way: str) -> None:
        """A worker froze with the newest job of all; when it thaws, that one is gone, and another tenant's came."""
        (old,) = subject.submit(1, tenant="a")
        (frozen,) = subject.claim()
        subject.pass_time(LEASE + 1)
        if way == "purged":
            subject.store.cancel("a", [old])
            subject.store.sweep(0.0, 1e9)
        else:
            subject.fail(old)
            subject.store.discard("a", [old])
        (new,) = subject.submit(1, tenant="b")
        (claim,) = subject.claim()
        assert (claim.fence, claim.seq != frozen.seq) == (frozen.fence, True)
        assert subject.store.start([frozen]) == subject.store.extend([frozen], LEASE) == []
        assert subject.store.record([(frozen, Done(b'"of tenant a"'))]) == []
        assert subject.state(new) is State.RUNNING

    def test_open_jobs_are_never_purged(self, subject: Subject) -> None:
        (id,) = subject.submit()
        subject.pass_time(1e6)
        subject.store.sweep(1.0, 1.0)
        assert subject.state(id) is State.QUEUED


class TestSending:
    def test_unsent_rows_are_sent_once_while_held(self, brokered: Subject) -> None:
        ids = brokered.submit(2)
        messages = brokered.store.to_send(10, 30.0, 3600.0)
        assert sorted(message.id for message in messages) == sorted(ids)
        assert brokered.store.to_send(10, 30.0, 3600.0) == []
        brokered.pass_time(31)
        assert len(brokered.store.to_send(10, 30.0, 3600.0)) == 2
        brokered.store.stamp_sent(messages)
        brokered.pass_time(31)
        assert brokered.store.to_send(10, 30.0, 3600.0) == []

    def test_rows_queued_without_a_broker_are_adopted(self, kind: str, brokered: Subject) -> None:
        if kind == "memory":
            pytest.skip("another process cannot open it")
        (sent,) = brokered.submit()
        brokered.store.stamp_sent([Message(sent, 0)])
        without = open_store(brokered.store.db.engine.url.render_as_string(hide_password=False), broker=False)  # type: ignore[attr-defined]
        without.submit([brokered.submission(id="lost")])
        assert without.adopt() == 0
        without.close()
        assert brokered.store.to_send(10, 30.0, 3600.0) == []
        assert brokered.store.adopt() == 1
        assert [message.id for message in brokered.store.to_send(10, 30.0, 3600.0)] == ["lost"]
        assert brokered.store.adopt() == 0

    def test_what_the_broker_lost_is_sent_again(self, brokered: Subject) -> None:
        ids = brokered.submit(1500)
        other, running, unsent = (*brokered.submit(1, model="other"), *brokered.submit(2))
        brokered.store.stamp_sent([Message(id, 0) for id in (*ids, other, running)])
        brokered.store.claim([Message(running, 0)], ["m"], LEASE)
        assert brokered.store.unsend(["m", "unknown"]) == 1500
        assert brokered.store.unsend(["m"]) == brokered.store.unsend([]) == 0
        assert {message.id for message in brokered.store.to_send(2000, 30.0, 3600.0)} == {*ids, unsent}
        assert brokered.state(running) is State.RUNNING

    def test_where_the_store_is_the_queue_nothing_is_lost(self, subject: Subject) -> None:
        subject.submit()
        assert subject.store.unsend(["m"]) == 0

    def test_due_retries_are_sent(self, brokered: Subject) -> None:
        (id,) = brokered.submit()
        brokered.store.stamp_sent([Message(id, 0)])
        (claim,) = brokered.claim()
        brokered.store.record([(claim, Retry(Reason.MODEL_ERROR, "x", delay=10.0))])
        assert brokered.store.to_send(10, 30.0, 3600.0) == []
        brokered.pass_time(11)
        assert [message.id for message in brokered.store.to_send(10, 30.0, 3600.0)] == [id]

    def test_a_row_whose_lease_ended_is_sent_again_once(self, brokered: Subject) -> None:
        (id,) = brokered.submit()
        brokered.store.stamp_sent([Message(id, 0)])
        brokered.claim()
        brokered.pass_time(LEASE + 1)
        messages = brokered.store.to_send(10, 1.0, 3600.0)
        assert [message.id for message in messages] == [id]
        brokered.store.stamp_sent(messages)
        brokered.pass_time(5)
        assert brokered.store.to_send(10, 30.0, 3600.0) == []

    def test_a_long_backlog_is_not_multiplied(self, brokered: Subject) -> None:
        ids = brokered.submit(3)
        brokered.store.stamp_sent([Message(id, 0) for id in ids])
        brokered.pass_time(3000)
        (claim,) = brokered.claim(1)
        brokered.store.start([claim])
        brokered.pass_time(1000)
        assert brokered.store.extend([claim], LEASE)
        assert brokered.store.to_send(10, 30.0, 3600.0) == []

    @pytest.mark.parametrize("stamped", [True, False])
    def test_a_message_that_was_overtaken_is_sent_again(self, brokered: Subject, stamped: bool) -> None:
        """Also by one that was claimed before anybody stamped it."""
        (lost,) = brokered.submit()
        brokered.store.stamp_sent([Message(lost, 0)])
        brokered.pass_time(10)
        (later,) = brokered.submit()
        if stamped:
            brokered.store.stamp_sent([Message(later, 0)])
        brokered.pass_time(3500)
        claims, _ = brokered.store.claim([Message(later, 0)], ["m"], 1000.0)
        brokered.store.start(claims)
        assert brokered.store.to_send(10, 30.0, 3600.0) == []
        brokered.pass_time(200)
        assert [message.id for message in brokered.store.to_send(10, 30.0, 3600.0)] == [lost]

    def test_when_nothing_moves_everything_is_sent_again_doubling(self, brokered: Subject) -> None:
        (id,) = brokered.submit()
        messages = [Message(id, 0)]
        brokered.store.stamp_sent(messages)
        brokered.pass_time(3601)
        assert [message.id for message in brokered.store.to_send(10, 1.0, 3600.0)] == [id]
        brokered.store.stamp_sent(messages)
        brokered.pass_time(3601)
        assert brokered.store.to_send(10, 1.0, 3600.0) == []
        brokered.pass_time(3601)
        assert len(brokered.store.to_send(10, 1.0, 3600.0)) == 1

    def test_a_stamp_that_comes_after_the_resume_counts_no_more(self, brokered: Subject) -> None:
        """Its message was refused and settled while the model was paused."""
        brokered.store.pause("m", True)
        (id,) = brokered.submit()
        brokered.store.pause("m", False)
        brokered.store.stamp_sent([Message(id, 0)])
        (message,) = brokered.store.to_send(10, 30.0, 3600.0)
        brokered.store.stamp_sent([message])
        brokered.pass_time(31)
        assert brokered.store.to_send(10, 30.0, 3600.0) == []

    def test_paused_rows_are_skipped_and_sent_on_resume(self, brokered: Subject) -> None:
        (id,) = brokered.submit()
        brokered.store.stamp_sent([Message(id, 0)])
        brokered.store.pause("m", True)
        brokered.pass_time(4000)
        assert brokered.store.to_send(10, 30.0, 3600.0) == []
        brokered.store.pause("m", False)
        assert [message.id for message in brokered.store.to_send(10, 30.0, 3600.0)] == [id]

    def test_the_api_stamps_only_what_was_never_claimed(self, brokered: Subject) -> None:
        (id,) = brokered.submit()
        (claim,) = brokered.claim()
        brokered.store.record([(claim, Release())])
        brokered.store.stamp_sent([Message(id, 0)])
        assert [message.id for message in brokered.store.to_send(10, 30.0, 3600.0)] == [id]

    @pytest.mark.parametrize("verdict", [Release(), Retry(Reason.MODEL_ERROR, "x", delay=1.0)])
    def test_a_retry_is_not_taken_for_sent_by_the_message_before_it(self, brokered: Subject, verdict: Verdict) -> None:
        """The worker is quicker than the broker's confirmation. Nor is it held for that message's sake."""
        (id,) = brokered.submit()
        for _ in range(2):  # never claimed before, and claimed before
            messages = brokered.store.to_send(10, 30.0, 3600.0)
            (claim,) = brokered.claim()
            brokered.store.record([(claim, verdict)])
            brokered.store.stamp_sent(messages)
            brokered.pass_time(2)
        assert [message.id for message in brokered.store.to_send(10, 30.0, 3600.0)] == [id]


class TestDeadLetters:
    def test_input_reason_error_attempts_and_origin_are_kept(self, subject: Subject) -> None:
        (id,) = subject.submit(1, inputs=b'{"x":[1]}', origin="topic-0@7", metadata=b'{"m":1}')
        (claim,) = subject.claim()
        subject.store.record([(claim, Retry(Reason.MODEL_ERROR, "first", delay=0.0))])
        (claim,) = subject.claim()
        subject.store.record([(claim, Dead(Reason.MODEL_ERROR, "second"))])
        letter = subject.store.dead_letter("default", id)
        assert letter is not None
        assert (letter.inputs, letter.reason, letter.error, letter.attempts) == (
            b'{"x":[1]}', Reason.MODEL_ERROR, "second", 2,
        )  # fmt: skip
        assert (letter.origin, letter.metadata) == ("topic-0@7", b'{"m":1}')
        assert [(attempt.attempt, attempt.error) for attempt in letter.history] == [(1, "first"), (2, "second")]
        assert subject.store.dead_letter("other", id) is None
        assert subject.view(id).attempt == 2

    def test_filters_groups_and_pages(self, subject: Subject) -> None:
        ids = subject.submit(5)
        for number, id in enumerate(ids):
            subject.fail(
                id, Reason.INVALID_INPUT if number == 0 else Reason.MODEL_ERROR, "100% of_x" if number < 3 else "other"
            )
            subject.pass_time(1)
            subject.pass_time(LEASE)
        letters = subject.store.dead_letters("default", DeadLetterFilter(), 3)
        rest = subject.store.dead_letters("default", DeadLetterFilter(), 3, letters.cursor)
        assert [letter.id for letter in (*letters.items, *rest.items)] == ids[::-1]
        assert rest.cursor is None
        assert len(subject.store.dead_letters(None, DeadLetterFilter(error="0% of_"), 10).items) == 3
        assert len(subject.store.dead_letters(None, DeadLetterFilter(reason=Reason.INVALID_INPUT), 10).items) == 1
        assert subject.store.dead_letters(None, DeadLetterFilter(model="n"), 10).items == []
        assert subject.store.dead_letters("other", DeadLetterFilter(), 10).items == []
        groups = subject.store.dead_letter_groups(None, DeadLetterFilter(), 10)
        assert sorted(group.count for group in groups) == [1, 2, 2]
        assert groups[0].count == 2

    def test_replay_starts_a_new_generation(self, subject: Subject) -> None:
        (id,) = subject.submit(1, expires_in=50.0)
        subject.fail(id)
        subject.pass_time(100)
        assert subject.store.replay("default", [Replay(id, generation=0, by="me")]) == [id]
        (claim,) = subject.claim()
        assert (claim.generation, claim.starts, claim.failures, claim.lost, claim.fence) == (1, 0, 0, 0, 2)
        subject.store.start([claim])
        assert subject.store.record([(claim, Done(b"1"))]) == [claim.seq]
        assert subject.state(id) is State.SUCCEEDED

    def test_two_tenants_jobs_of_one_id_are_replayed_each_as_it_was_asked(self, subject: Subject) -> None:
        for tenant in ("a", "b", "c"):
            subject.store.submit([subject.submission(id="same", tenant=tenant)])
            subject.fail("same")
        patches = [Replay("same", 0, inputs=b'"of %s"' % tenant.encode(), tenant=tenant) for tenant in ("b", "a")]
        assert subject.store.replay(None, patches) == ["same", "same"]
        assert {claim.tenant: claim.inputs for claim in subject.claim()} == {"a": b'"of a"', "b": b'"of b"'}
        assert subject.store.replay("b", [Replay("same", 0, tenant="c")]) == []

    def test_a_replay_applies_once(self, subject: Subject) -> None:
        (id,) = subject.submit()
        subject.fail(id)
        request = Replay(id, generation=0)
        assert subject.store.replay(None, [request]) == [id]
        assert subject.store.replay(None, [request]) == []
        subject.fail(id)
        assert subject.store.replay(None, [request]) == []
        assert subject.store.replay("other", [Replay(id, generation=1)]) == []
        assert subject.store.replay(None, [Replay(id, generation=1)]) == [id]

    def test_replaying_what_succeeded_does_nothing(self, subject: Subject) -> None:
        (id,) = subject.submit()
        (claim,) = subject.claim()
        subject.store.record([(claim, Done(b"1"))])
        assert subject.store.replay(None, [Replay(id, generation=0)]) == []
        assert subject.view(id).result == b"1"

    def test_a_patch_and_another_version_leave_lineage(self, subject: Subject) -> None:
        (id,) = subject.submit(1, inputs=b'{"x":"\xc3\xbc"}')
        subject.fail(id)
        subject.store.replay(None, [Replay(id, 0, by="ann", inputs=b'{"x":2}', version="2")])
        (claim,) = subject.claim()
        assert (claim.inputs, claim.version) == (b'{"x":2}', "2")
        subject.store.record([(claim, Dead(Reason.MODEL_ERROR, "again"))])
        letter = subject.store.dead_letter(None, id)
        assert letter is not None
        (replayed,) = letter.replays
        assert (replayed.by, replayed.version_before, replayed.version) == ("ann", "1", "2")
        assert (replayed.inputs_before, replayed.generation) == ('{"x":"ü"}'.encode(), 1)

    def test_a_replay_on_another_model_is_that_models(self, subject: Subject) -> None:
        (id,) = subject.submit()
        subject.fail(id)
        (other,) = subject.submit()
        subject.fail(other)
        again = [Replay(id, 0, version="3", model="n"), Replay(other, 0)]
        assert sorted(subject.store.replay(None, again)) == sorted([id, other])
        assert [(claim.id, claim.version) for claim in subject.claim(models=("n",))] == [(id, "3")]
        assert [(claim.id, claim.model, claim.version) for claim in subject.claim()] == [(other, "m", "1")]
        assert (subject.view(id).model, subject.view(other).model) == ("n", "m")

    def test_a_claim_of_before_the_replay_cannot_write(self, subject: Subject) -> None:
        (id,) = subject.submit()
        (frozen,) = subject.claim()
        subject.pass_time(LEASE + 1)
        subject.fail(id)
        subject.store.replay(None, [Replay(id, 0)])
        assert subject.store.record([(frozen, Done(b"stale"))]) == []
        (fresh,) = subject.claim()
        assert subject.store.record([(frozen, Done(b"stale")), (fresh, Done(b"1"))]) == [fresh.seq]

    def test_discard_leaves_a_tombstone(self, subject: Subject) -> None:
        failed, alive = subject.submit(2)
        subject.fail(failed)
        assert subject.store.discard("other", [failed]) == Discarded([], [])
        assert subject.store.discard("default", [failed, alive, "unknown"]) == Discarded([failed], [])
        assert subject.store.read(None, [failed])[failed] == Purged(failed)
        assert subject.state(alive) is State.RUNNING
        assert subject.store.discard(None, []) == Discarded([], [])


class TestUnhold:
    def test_what_was_not_confirmed_may_be_chosen_again(self, brokered: Subject) -> None:
        (id,) = brokered.submit()
        messages = brokered.store.to_send(10, 30.0, 3600.0)
        assert brokered.store.to_send(10, 30.0, 3600.0) == []
        brokered.store.unhold([])
        brokered.store.unhold([Message(id, 7)])
        assert brokered.store.to_send(10, 30.0, 3600.0) == []
        brokered.store.unhold(messages)
        assert brokered.store.to_send(10, 30.0, 3600.0) == messages


class TestStrays:
    def test_each_is_kept_once_as_it_came(self, subject: Subject) -> None:
        one = Stray("jobs", "0@1", b"\x00\xff", "no envelope", b"\xfe", (("h", b"\xff"), ("n", None)))
        other = Stray("jobs", "0@2", None, "no value")
        subject.store.keep_strays([one])
        subject.pass_time(1.0)
        subject.store.keep_strays([one, other, other])
        subject.store.keep_strays([])
        kept = subject.store.strays(10)
        assert [replace(stray, seen_at=0.0) for stray in kept] == [other, one]
        assert kept[0].seen_at - kept[1].seen_at == pytest.approx(1.0, abs=0.5)
        assert len(subject.store.strays(1)) == 1
        assert [subject.store.count_strays(most) for most in (1, 10)] == [1, 2]

    def test_they_go_with_the_retention(self, subject: Subject) -> None:
        subject.store.keep_strays([Stray("jobs", "0@1", b"x", "no envelope")])
        subject.store.sweep(100.0, 100.0)
        assert len(subject.store.strays(10)) == 1
        subject.pass_time(101.0)
        subject.store.sweep(100.0, 100.0)
        assert subject.store.strays(10) == []


class TestPayloads:
    """The claim check: rows that name where their input or result is."""

    def test_a_row_that_names_its_input_is_claimed_with_the_name_and_the_size(self, subject: Subject) -> None:
        (id,) = subject.submit(inputs=b"", inputs_ref="ref-1", referred=300_000)
        (plain,) = subject.submit(inputs=b"12345")
        claims = {claim.id: claim for claim in subject.claim()}
        assert (claims[id].inputs, claims[id].inputs_ref, claims[id].size) == (b"", "ref-1", 300_000)
        assert (claims[plain].inputs, claims[plain].inputs_ref, claims[plain].size) == (b"12345", None, 5)

    def test_sizes_of_named_inputs_bound_a_receive(self, subject: Subject) -> None:
        for n in range(4):
            subject.submit(inputs=b"", inputs_ref=f"ref-{n}", referred=300)
        assert len(subject.store.claim_next(("m",), 10, LEASE, most_bytes=700)) == 2

    def test_a_message_never_carries_an_input_that_is_elsewhere(self, brokered: Subject) -> None:
        brokered.submit(inputs=b"", inputs_ref="ref-1", referred=300_000)
        (message,) = brokered.store.to_send(10, 30.0, 3600.0)
        assert message.inputs is None

    def test_a_payload_is_one_jobs_alone(self, subject: Subject) -> None:
        (first,) = subject.submit(inputs=b"", inputs_ref="ref-1", referred=3, digest=b"1")
        second = subject.submission(inputs=b"", inputs_ref="ref-1", referred=3, digest=b"2")
        beside = subject.submission()
        outcomes = subject.store.submit([second, beside])
        assert outcomes[0] == RefConflict(first)
        assert isinstance(outcomes[1], Accepted)
        assert subject.store.read(None, [second.id]) == {}

    def test_two_jobs_of_one_request_cannot_share_a_payload(self, subject: Subject) -> None:
        one, two = (subject.submission(inputs=b"", inputs_ref="ref-1", referred=3, digest=d) for d in (b"1", b"2"))
        outcomes = subject.store.submit([one, two])
        assert isinstance(outcomes[0], Accepted)
        assert outcomes[1] == RefConflict(one.id)

    def test_the_same_key_with_the_same_payload_is_the_same_job(self, subject: Subject) -> None:
        given: dict[str, Any] = {"inputs": b"", "inputs_ref": "ref-1", "referred": 3, "idempotency_key": "k"}
        first, again = subject.submission(**given), subject.submission(**given)
        subject.store.submit([first])
        assert subject.store.submit([again]) == [Accepted(first.id, State.QUEUED, "m", "1", created=False)]

    def test_a_result_that_is_elsewhere_is_named(self, subject: Subject) -> None:
        (id,) = subject.submit()
        (claim,) = subject.claim()
        assert subject.store.record([(claim, Done(b"", "ref-r"))]) == [claim.seq]
        view = subject.view(id)
        assert (view.state, view.result, view.result_ref) == (State.SUCCEEDED, None, "ref-r")
        assert subject.store.record([(claim, Done(b"", "ref-other"))]) == []
        assert subject.view(id).result_ref == "ref-r"

    def test_a_dead_letter_names_its_input_and_a_replay_keeps_it(self, subject: Subject) -> None:
        (id,) = subject.submit(inputs=b"", inputs_ref="ref-1", referred=300_000)
        subject.fail(id)
        letter = subject.store.dead_letter(None, id)
        assert letter is not None
        assert (letter.inputs, letter.inputs_ref, letter.size) == (b"", "ref-1", 300_000)
        assert subject.store.replay(None, [Replay(id, 0)]) == [id]
        (claim,) = subject.claim()
        assert (claim.inputs_ref, claim.size, claim.generation) == ("ref-1", 300_000, 1)

    def test_a_patched_input_takes_the_place_and_the_one_before_is_kept(self, subject: Subject) -> None:
        """Large for large, small for large, large for small."""
        (id,) = subject.submit(inputs=b"", inputs_ref="ref-1", referred=300_000)
        subject.fail(id)
        subject.store.replay(None, [Replay(id, 0, inputs=b"", inputs_ref="ref-2", referred=400_000)])
        subject.fail(id)
        subject.store.replay(None, [Replay(id, 1, inputs=b"small")])
        (claim,) = subject.claim()
        assert (claim.inputs, claim.inputs_ref, claim.size) == (b"small", None, 5)
        subject.store.record([(claim, Dead(Reason.MODEL_ERROR, "boom"))])
        subject.store.replay(None, [Replay(id, 2, inputs=b"", inputs_ref="ref-3", referred=500_000)])
        subject.fail(id)
        letter = subject.store.dead_letter(None, id)
        assert letter is not None
        kept = [(one.inputs_before, one.inputs_before_ref) for one in letter.replays]
        assert kept == [(None, "ref-1"), (None, "ref-2"), (b"small", None)]
        assert (letter.inputs, letter.inputs_ref, letter.size) == (b"", "ref-3", 500_000)
        assert set(subject.store.discard(None, [id]).refs) == {"ref-1", "ref-2", "ref-3"}

    def test_what_is_purged_tells_its_payloads(self, subject: Subject) -> None:
        subject.submit(inputs=b"", inputs_ref="ref-1", referred=3)
        (claim,) = subject.claim()
        subject.store.record([(claim, Done(b"", "ref-r"))])
        subject.submit()
        subject.pass_time(100.0)
        swept = subject.store.sweep(retention=50.0, tombstones=1e9)
        assert swept is not None
        assert (swept.purged, set(swept.refs)) == (1, {"ref-1", "ref-r"})
        swept = subject.store.sweep(retention=50.0, tombstones=1e9)
        assert swept is not None
        assert swept.refs == []

    def test_what_no_row_names_nor_may_is_unnamed(self, subject: Subject) -> None:
        inputs = keys.of_input("default", "job-x", 0, b"1")
        before = keys.of_input("default", "job-y", 0, b"2")
        patched = keys.of_input("default", "job-y", 1, b"3")
        subject.submit(inputs=b"", inputs_ref=inputs, referred=1)
        (failed,) = subject.submit(inputs=b"", inputs_ref=before, referred=1)
        subject.fail(failed)
        subject.store.replay(None, [Replay(failed, 0, inputs=b"", inputs_ref=patched, referred=1)])
        (running,) = [claim for claim in subject.claim() if claim.id == failed]
        result = keys.of_result("default", running.seq, running.fence, b"4")
        other = keys.of_result("default", running.seq, running.fence, b"5")
        orphan = keys.of_input("default", "job-z", 0, b"6")
        gone = keys.of_result("default", 10_000, 1, b"7")
        every = [inputs, before, patched, result, other, orphan, gone]
        assert subject.store.unnamed(every) == [orphan, gone], "an open job may still come to name its results"
        subject.store.record([(running, Done(b"", result))])
        assert subject.store.unnamed(every) == [other, orphan, gone]
        assert subject.store.unnamed([]) == []

    def test_a_store_has_one_identity_for_good(self, subject: Subject) -> None:
        assert subject.store.identity()
        assert subject.store.identity() == subject.store.identity()

    def test_a_lease_is_one_holders(self, subject: Subject) -> None:
        assert subject.store.take_lease("payloads", 60.0)
        assert subject.store.take_lease("payloads", 60.0), "asking again extends it"
