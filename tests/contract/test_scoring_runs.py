"""Scoring runs in the store (pipelines/store/scoring_port.py), the same over SQLite and PostgreSQL."""

import itertools
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from sqlalchemy import text

from pipelines.store.opening import open_store
from pipelines.store.scoring_port import (
    EndedRun,
    Failed,
    Held,
    Released,
    RunAccepted,
    RunConflict,
    Stopped,
    Succeeded,
    TooManyRuns,
)
from pipelines.store.scoring_runs import ScoringRuns
from pipelines.store.sql import SqlStore
from schemas.jobs import JobFilter
from schemas.scoring_runs import (
    MAX_DELIVERIES,
    Progress,
    RunReason,
    RunSubmission,
    RunSummary,
    RunView,
    ScoringClaim,
    ScoringRequest,
)
from schemas.states import State

LEASE = 30.0
SUMMARY = RunSummary(rows=9, rejected=1, parts=2, seconds=1.5, manifest="_forebay/a.json")
ENDINGS = {
    State.SUCCEEDED: Succeeded(SUMMARY),
    State.FAILED: Failed(RunReason.BAD_INPUT, "no column x"),
    State.CANCELED: Stopped(),
}


class Subject:
    """Runs in a store whose clock the test moves."""

    def __init__(self, store: SqlStore) -> None:
        self.store = store
        self.runs = ScoringRuns(store.db)
        self._numbers = itertools.count()

    def pass_time(self, seconds: float) -> None:
        self.store.db.skew += seconds

    def given(self, run_id: str = "", tenant: str = "default", version: str = "1", **asked: Any) -> RunSubmission:
        request = ScoringRequest(**({"model": "m", "input": "/in", "output": "/out"} | asked))
        return RunSubmission(run_id or f"run-{next(self._numbers)}", tenant, version, request)

    def submit(self, run_id: str = "", most_open: int = 100, **more: Any) -> RunView:
        outcome = self.runs.submit(self.given(run_id, **more), most_open)
        assert isinstance(outcome, RunAccepted), outcome
        return outcome.view

    def claim(self, models: tuple[str, ...] = ("m",)) -> ScoringClaim:
        claim, _ = self.runs.claim(models, LEASE)
        assert claim is not None
        return claim

    def nothing_to_claim(self) -> bool:
        return self.runs.claim(["m"], LEASE)[0] is None

    def view(self, run_id: str, tenant: str = "default") -> RunView:
        return self.runs.read(tenant, [run_id])[run_id]

    def lose(self) -> ScoringClaim:
        """A claim whose worker dies."""
        claim = self.claim()
        self.pass_time(LEASE + 1)
        return claim

    def bring_to(self, run_id: str, state: State) -> ScoringClaim:
        self.submit(run_id)
        claim = self.claim()
        if state is State.CANCELED:
            self.runs.cancel("default", run_id)
        assert self.runs.end(claim, ENDINGS[state], None) is state
        return claim


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def opened(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqlStore]:
    with ExitStack() as stack:
        if request.param == "sqlite":
            url = f"sqlite:///{tmp_path_factory.mktemp('runs')}/store.db"
        else:
            url = stack.enter_context(request.getfixturevalue("postgres").database())
        store = open_store(url)
        stack.callback(store.close)
        yield store


@pytest.fixture
def subject(opened: SqlStore) -> Subject:
    """One store for all tests, emptied before each: making its tables takes longer than most of them."""
    opened.db.skew = 0.0
    with opened.db.engine.begin() as connection:
        for table in ("scoring_runs", "leases"):
            connection.execute(text(f"DELETE FROM {table}"))
    return Subject(opened)


class TestSubmit:
    def test_a_run_is_queued_and_can_be_read_at_once(self, subject: Subject) -> None:
        given = subject.given("a", where="x > 1", columns={"x": ["c1", "c2"]}, passthrough=("id",), overwrite=True)
        outcome = subject.runs.submit(given, 100)
        assert outcome == RunAccepted(subject.view("a"), created=True)
        view = subject.view("a")
        assert (view.state, view.attempts, view.request, view.version) == (State.QUEUED, 0, given.request, "1")
        assert (view.progress, view.cancel_asked, view.summary) == (Progress(), False, None)

    def test_the_same_again_is_the_same_run_as_it_stands(self, subject: Subject) -> None:
        subject.submit("a")
        claim = subject.claim()
        again = subject.runs.submit(subject.given("a"), 100)
        assert again == RunAccepted(subject.view("a"), created=False)
        assert subject.view("a").state is State.RUNNING
        subject.runs.end(claim, Succeeded(SUMMARY), None)
        done = subject.submit("a")
        assert (done.state, done.summary) == (State.SUCCEEDED, SUMMARY)
        assert subject.nothing_to_claim()

    def test_an_alias_that_moved_leaves_the_run_with_what_it_stood_for(self, subject: Subject) -> None:
        subject.submit("a", version="1")
        assert subject.submit("a", version="2").version == "1"

    def test_another_request_is_refused_with_what_differs(self, subject: Subject) -> None:
        subject.submit("a")
        outcome = subject.runs.submit(subject.given("a", output="/other", max_rejects=0.5), 100)
        assert isinstance(outcome, RunConflict)
        assert outcome.differs == ["output", "max_rejects"]
        assert subject.view("a").request.output == "/out"

    @pytest.mark.parametrize("ended", [State.FAILED, State.CANCELED])
    def test_what_failed_or_was_canceled_is_queued_again(self, subject: Subject, ended: State) -> None:
        first = subject.bring_to("a", ended)
        view = subject.submit("a")
        assert (view.state, view.error, view.reason, view.cancel_asked) == (State.QUEUED, None, None, False)
        assert view.timings.finished_at is None
        again = subject.claim()
        assert (again.fence, again.attempt, again.lost) == (first.fence + 1, first.attempt + 1, 0)

    def test_ids_are_each_tenants_own(self, subject: Subject) -> None:
        subject.submit("a", tenant="one")
        assert subject.submit("a", tenant="two", output="/other").state is State.QUEUED
        assert subject.runs.read("three", ["a"]) == {}
        assert subject.runs.cancel("three", "a") is None
        subject.runs.cancel("one", "a")
        assert subject.view("a", "two").state is State.QUEUED

    def test_open_runs_of_a_tenant_are_bounded(self, subject: Subject) -> None:
        subject.bring_to("failed", State.FAILED)
        for name in ("a", "b"):
            subject.submit(name)
        assert subject.runs.submit(subject.given("c"), 2) == TooManyRuns(2)
        assert subject.runs.submit(subject.given("failed"), 2) == TooManyRuns(2)
        assert subject.submit("a", 2).state is State.QUEUED, "it is there already"
        assert subject.submit("c", 2, tenant="other").state is State.QUEUED

    def test_racing_submissions_make_one_run(self, subject: Subject) -> None:
        outcomes: list[Any] = []
        threads = [
            threading.Thread(target=lambda: outcomes.append(subject.runs.submit(subject.given("a"), 100)))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(outcome.created for outcome in outcomes) == [False] * 7 + [True]


class TestClaim:
    def test_a_claim_brings_the_run_and_a_fence(self, subject: Subject) -> None:
        given = subject.given("a", tenant="t", version="3", where="x > 1")
        subject.runs.submit(given, 100)
        claim = subject.claim()
        assert (claim.run_id, claim.tenant, claim.version, claim.request) == ("a", "t", "3", given.request)
        assert (claim.fence, claim.attempt, claim.lost) == (1, 1, 0)
        assert subject.view("a", "t").timings.started_at is not None

    def test_runs_are_claimed_in_order_one_at_a_time(self, subject: Subject) -> None:
        for name in ("a", "b"):
            subject.submit(name)
            subject.pass_time(1)
        assert [subject.claim().run_id, subject.claim().run_id] == ["a", "b"]
        assert subject.nothing_to_claim()

    def test_only_models_that_are_served_and_not_paused(self, subject: Subject) -> None:
        subject.submit("a")
        assert subject.runs.claim(["other"], LEASE) == (None, [])
        subject.store.pause("m", True)
        assert subject.nothing_to_claim()
        subject.store.pause("m", False)
        assert subject.claim(("other", "m")).run_id == "a"

    def test_a_run_whose_lease_ended_is_claimed_again_with_a_higher_fence(self, subject: Subject) -> None:
        subject.submit("a")
        first = subject.lose()
        second = subject.claim()
        assert (second.fence, second.attempt, second.lost) == (first.fence + 1, 2, 1)

    def test_many_workers_never_claim_the_same(self, subject: Subject) -> None:
        for _ in range(12):
            subject.submit()
        found: list[str] = []

        def work() -> None:
            while (claim := subject.runs.claim(["m"], LEASE)[0]) is not None:
                found.append(claim.run_id)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        # Who steps over rows that others are claiming may find none, and stop; nobody gets one twice.
        assert len(found) == len(set(found))
        while not subject.nothing_to_claim():
            pass


class TestCrashes:
    def test_a_run_that_is_lost_too_often_is_failed(self, subject: Subject) -> None:
        subject.submit("a")
        for _ in range(MAX_DELIVERIES):
            subject.lose()
        assert subject.runs.claim(["m"], LEASE) == (None, [EndedRun("a", "m", "1", State.FAILED)])
        view = subject.view("a")
        assert (view.state, view.reason, view.attempts) == (State.FAILED, RunReason.CRASHED, MAX_DELIVERIES)
        assert f"{MAX_DELIVERIES} attempts in a row" in str(view.error)

    def test_a_part_that_got_done_makes_the_count_begin_again(self, subject: Subject) -> None:
        subject.submit("a")
        for part in range(1, 2 * MAX_DELIVERIES):
            claim = subject.claim()
            assert subject.runs.beat(claim, LEASE, Progress(parts=part)) is Held.OURS
            subject.pass_time(LEASE + 1)
        assert subject.view("a").state is State.RUNNING

    def test_parts_that_were_done_before_are_no_progress(self, subject: Subject) -> None:
        subject.submit("a")
        for _ in range(MAX_DELIVERIES + 1):
            claim = subject.claim()
            for parts in (0, 7):  # it looks for its parts, and crashes at the eighth
                subject.runs.beat(claim, LEASE, Progress(parts=parts))
            subject.pass_time(LEASE + 1)
        assert subject.nothing_to_claim()
        assert subject.view("a").reason is RunReason.CRASHED

    def test_a_drain_is_no_crash(self, subject: Subject) -> None:
        subject.submit("a")
        for _ in range(2 * MAX_DELIVERIES):
            assert subject.runs.end(subject.claim(), Released(), None) is State.QUEUED
        assert subject.view("a").attempts == 0

    def test_a_drain_does_not_forgive_what_was_lost(self, subject: Subject) -> None:
        subject.submit("a")
        subject.lose()
        subject.runs.end(subject.claim(), Released(), None)
        assert subject.claim().lost == 1

    def test_submitting_it_again_forgives(self, subject: Subject) -> None:
        subject.submit("a")
        for _ in range(MAX_DELIVERIES):
            subject.lose()
        assert subject.nothing_to_claim()
        subject.submit("a")
        claim = subject.lose()
        assert (claim.attempt, claim.lost) == (MAX_DELIVERIES + 1, 0)
        assert subject.claim().lost == 1

    def test_the_sweeper_ends_it_when_no_worker_is_left(self, subject: Subject) -> None:
        subject.submit("a")
        for _ in range(MAX_DELIVERIES):
            subject.lose()
        subject.store.sweep(1e9, 1e9)
        assert subject.view("a").reason is RunReason.CRASHED


class TestBeat:
    def test_it_extends_the_lease_and_keeps_progress(self, subject: Subject) -> None:
        subject.submit("a")
        claim = subject.claim()
        progress = Progress(rows=5, rows_total=10, parts=1, parts_total=2, rejected=3)
        for _ in range(3):
            subject.pass_time(LEASE - 1)
            assert subject.runs.beat(claim, LEASE, progress) is Held.OURS
        assert subject.runs.beat(claim, LEASE, None) is Held.OURS
        assert subject.nothing_to_claim()
        assert subject.view("a").progress == progress

    def test_it_revives_a_lease_that_ended_while_nobody_claimed(self, subject: Subject) -> None:
        subject.submit("a")
        claim = subject.lose()
        assert subject.runs.beat(claim, LEASE, None) is Held.OURS
        assert subject.nothing_to_claim()

    def test_it_tells_of_a_cancellation(self, subject: Subject) -> None:
        subject.submit("a")
        claim = subject.claim()
        view = subject.runs.cancel("default", "a")
        assert view is not None
        assert (view.state, view.cancel_asked) == (State.RUNNING, True)
        assert subject.runs.beat(claim, LEASE, None) is Held.CANCEL

    def test_an_older_fence_changes_nothing(self, subject: Subject) -> None:
        subject.submit("a")
        old = subject.lose()
        subject.claim()
        before = subject.view("a")
        assert subject.runs.beat(old, LEASE, Progress(rows=9, parts=9)) is Held.LOST
        for ending in (*ENDINGS.values(), Released()):
            assert subject.runs.end(old, ending, Progress(rows=9)) is None
        assert subject.view("a") == before


class TestEnd:
    def test_success_keeps_summary_and_progress(self, subject: Subject) -> None:
        subject.submit("a")
        progress = Progress(rows=10, rows_total=10, parts=2, parts_total=2, rejected=1)
        assert subject.runs.end(subject.claim(), Succeeded(SUMMARY), progress) is State.SUCCEEDED
        view = subject.view("a")
        assert (view.state, view.summary, view.progress) == (State.SUCCEEDED, SUMMARY, progress)
        assert view.timings.finished_at is not None

    def test_failure_keeps_its_line(self, subject: Subject) -> None:
        subject.submit("a")
        assert subject.runs.end(subject.claim(), Failed(RunReason.BAD_INPUT, "no column x"), None) is State.FAILED
        view = subject.view("a")
        assert (view.reason, view.error, view.summary) == (RunReason.BAD_INPUT, "no column x", None)

    def test_what_was_published_counts_though_it_was_asked_to_stop(self, subject: Subject) -> None:
        subject.submit("a")
        claim = subject.claim()
        subject.runs.cancel("default", "a")
        assert subject.runs.end(claim, Succeeded(SUMMARY), None) is State.SUCCEEDED
        assert not subject.view("a").cancel_asked

    @pytest.mark.parametrize("state", ENDINGS)
    def test_every_terminal_state_absorbs(self, subject: Subject, state: State) -> None:
        claim = subject.bring_to("a", state)
        before = subject.view("a")
        assert subject.runs.beat(claim, LEASE, Progress(rows=1)) is Held.LOST
        for ending in (*ENDINGS.values(), Released()):
            assert subject.runs.end(claim, ending, None) is None
        assert subject.runs.cancel("default", "a") == before
        subject.pass_time(10 * LEASE)
        assert subject.nothing_to_claim()
        assert subject.view("a") == before

    def test_a_release_can_be_put_off(self, subject: Subject) -> None:
        subject.submit("a")
        assert subject.runs.end(subject.claim(), Released(delay=60), None) is State.QUEUED
        assert subject.nothing_to_claim()
        subject.pass_time(61)
        assert subject.claim().attempt == 1

    def test_a_release_of_what_was_asked_to_stop_is_its_end(self, subject: Subject) -> None:
        subject.submit("a")
        claim = subject.claim()
        subject.runs.cancel("default", "a")
        assert subject.runs.end(claim, Released(), None) is State.CANCELED


class TestCancel:
    def test_what_is_queued_is_canceled_at_once(self, subject: Subject) -> None:
        subject.submit("a")
        view = subject.runs.cancel("default", "a")
        assert view is not None
        assert (view.state, view.cancel_asked) == (State.CANCELED, False)
        assert subject.nothing_to_claim()
        assert subject.runs.cancel("default", "unknown") is None

    def test_what_nobody_holds_any_more_is_canceled_at_once(self, subject: Subject) -> None:
        subject.submit("a")
        claim = subject.lose()
        assert subject.runs.cancel("default", "a").state is State.CANCELED  # type: ignore[union-attr]
        assert subject.runs.end(claim, Succeeded(SUMMARY), None) is None

    def test_it_is_canceled_when_its_worker_died_meanwhile(self, subject: Subject) -> None:
        subject.submit("a")
        subject.claim()
        subject.runs.cancel("default", "a")
        subject.pass_time(LEASE + 1)
        assert subject.runs.claim(["m"], LEASE) == (None, [EndedRun("a", "m", "1", State.CANCELED)])
        view = subject.view("a")
        assert (view.state, view.reason, view.error) == (State.CANCELED, None, None)

    def test_submitting_again_withdraws_it(self, subject: Subject) -> None:
        subject.submit("a")
        claim = subject.claim()
        subject.runs.cancel("default", "a")
        assert not subject.submit("a").cancel_asked
        assert subject.runs.beat(claim, LEASE, None) is Held.OURS

    def test_a_worker_that_stopped_for_what_was_withdrawn_leaves_it_queued(self, subject: Subject) -> None:
        subject.submit("a")
        claim = subject.claim()
        subject.runs.cancel("default", "a")
        subject.submit("a")
        assert subject.runs.end(claim, Stopped(), None) is State.QUEUED
        assert subject.claim().fence == claim.fence + 1


class TestList:
    def test_newest_first_in_pages(self, subject: Subject) -> None:
        names = [subject.submit().run_id for _ in range(5)]
        subject.submit("other", tenant="other")
        first = subject.runs.list_runs("default", JobFilter(), 3)
        rest = subject.runs.list_runs("default", JobFilter(), 3, first.cursor)
        assert [view.run_id for view in (*first.items, *rest.items)] == names[::-1]
        assert rest.cursor is None

    @pytest.mark.parametrize(
        ("wanted", "found"),
        [
            (JobFilter(state=State.FAILED), ["a"]),
            (JobFilter(model="other"), ["c"]),
            (JobFilter(version="2"), ["d", "b"]),
            (JobFilter(model="m", version="2"), ["d", "b"]),
            (JobFilter(model="other", version="2"), []),
            (JobFilter(state=State.QUEUED, model="m"), ["d", "b"]),
        ],
    )
    def test_what_is_asked_for(self, subject: Subject, wanted: JobFilter, found: list[str]) -> None:
        subject.bring_to("a", State.FAILED)
        subject.submit("b", version="2")
        subject.submit("c", model="other")
        subject.submit("d", version="2")
        page = subject.runs.list_runs("default", wanted, 1)
        rest = subject.runs.list_runs("default", wanted, 9, page.cursor) if page.cursor else None
        items = (*page.items, *(rest.items if rest else ()))
        assert [view.run_id for view in items] == found

    def test_by_the_time_of_the_submission(self, subject: Subject) -> None:
        subject.submit("a")
        subject.pass_time(100)
        at = subject.submit("b").timings.submitted_at
        for wanted, found in (
            (JobFilter(since=at), ["b"]),
            (JobFilter(until=at), ["a"]),
            (JobFilter(since=at - 200, until=at + 1), ["b", "a"]),
        ):
            assert [view.run_id for view in subject.runs.list_runs("default", wanted, 9).items] == found

    def test_a_cursor_of_somebody_else(self, subject: Subject) -> None:
        with pytest.raises(ValueError):
            subject.runs.list_runs("default", JobFilter(), 3, "nonsense")

    def test_what_is_over_goes_with_the_retention(self, subject: Subject) -> None:
        subject.bring_to("a", State.SUCCEEDED)
        subject.submit("b")
        subject.pass_time(1000)
        subject.store.sweep(500, 500)
        assert set(subject.runs.read("default", ["a", "b"])) == {"b"}


def test_a_request_of_a_later_release_can_be_read(subject: Subject) -> None:
    """Columns are only added, and so are fields of a request."""
    subject.submit("a")
    with subject.store.db.engine.begin() as connection:
        connection.exec_driver_sql(
            """UPDATE scoring_runs SET asked = replace(asked, '{"model"', '{"later":1,"model"')"""
        )
    assert subject.view("a").request == subject.given().request
