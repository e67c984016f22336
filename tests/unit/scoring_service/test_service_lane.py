"""What a scoring worker makes of a run: claimed, kept, stopped, and its end recorded with its own fence."""

import threading
from typing import NoReturn

import pytest
from prometheus_client import CollectorRegistry
from service_driver import LEASE, SUMMARY, Stage, obey

from pipelines.scoring import faults
from pipelines.scoring.scorer import Report
from schemas.scoring_runs import MAX_DELIVERIES, Progress, RunReason, RunSummary, ScoringClaim
from schemas.states import State
from workers.scoring_metrics import PrometheusScoring
from workers.scoring_tether import in_a_thread, interval_of


def test_a_run_is_done_and_its_end_recorded(stage: Stage) -> None:
    id = stage.submit(where="x > 1", passthrough=("id",))

    def score(claim: ScoringClaim, report: Report) -> RunSummary:
        assert (claim.run_id, claim.version, claim.request.where) == (id, "1", "x > 1")
        assert report(Progress(rows=10, rows_total=10, parts=2, parts_total=2, rejected=1))
        return SUMMARY

    stage.score = score
    assert stage.worker.step()
    view = stage.view(id)
    assert (view.state, view.summary, view.progress.rows, view.attempts) == (State.SUCCEEDED, SUMMARY, 10, 1)
    assert stage.notices.told == [id]
    assert not stage.worker.step()


def test_progress_is_seen_while_it_runs(stage: Stage) -> None:
    id = stage.submit()
    seen: list[Progress] = []

    def score(claim: ScoringClaim, report: Report) -> RunSummary:
        report(Progress(rows=5, rows_total=10))
        stage.beat()
        seen.append(stage.view(id).progress)
        return SUMMARY

    stage.score = score
    stage.worker.step()
    assert seen == [Progress(rows=5, rows_total=10)]


def test_a_part_that_is_done_is_told_soon(stage: Stage) -> None:
    stage.submit()

    def score(claim: ScoringClaim, report: Report) -> RunSummary:
        for parts in (0, 0, 1, 1, 3):
            report(Progress(parts=parts))
        return SUMMARY

    stage.score = score
    stage.worker.step()
    assert stage.told == ["part", "part"]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (faults.BadInput("no column x: expected x, y"), RunReason.BAD_INPUT),
        (faults.TooManyRejects("2 % were rejected"), RunReason.TOO_MANY_REJECTS),
        (faults.RunBusy("somebody is at it"), RunReason.RUN_BUSY),
        (faults.StorageFault("the disk is full"), RunReason.STORAGE_FAULT),
        (faults.ScoreFault("something else"), RunReason.SCORE_FAULT),
        (faults.Canceled("nobody asked for that"), RunReason.SCORE_FAULT),
    ],
)
def test_a_fault_of_the_run_is_its_line(stage: Stage, fault: Exception, reason: RunReason) -> None:
    id = stage.submit()

    def score(claim: ScoringClaim, report: Report) -> NoReturn:
        raise fault

    stage.score = score
    stage.worker.step()
    view = stage.view(id)
    assert (view.state, view.reason, view.error) == (State.FAILED, reason, str(fault))


def test_anything_else_fails_with_its_kind_and_place(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    id = stage.submit()

    def score(claim: ScoringClaim, report: Report) -> NoReturn:
        raise ZeroDivisionError("two\nlines")

    stage.score = score
    stage.worker.step()
    view = stage.view(id)
    assert (view.state, view.reason) == (State.FAILED, RunReason.INTERNAL)
    assert str(view.error).startswith("ZeroDivisionError: two lines (test_service_lane.py:")
    assert "Traceback" in caplog.text


def test_a_location_that_leads_out_by_now_is_not_opened(stage: Stage) -> None:
    id = stage.submit(output="/etc/forebay")
    stage.worker.step()
    assert stage.view(id).reason is RunReason.BAD_ORDER
    assert stage.attempts == []


def test_a_cancellation_stops_it(stage: Stage) -> None:
    id = stage.submit()

    def score(claim: ScoringClaim, report: Report) -> NoReturn:
        obey(report)
        stage.runs.cancel("default", id)
        stage.beat()
        obey(report, Progress(rows=7))
        raise AssertionError("it goes on")

    stage.score = score
    stage.worker.step()
    view = stage.view(id)
    assert (view.state, view.progress.rows, view.error) == (State.CANCELED, 7, None)
    assert stage.notices.told == [id]


def test_what_breaks_while_it_is_stopped_is_no_failure(stage: Stage) -> None:
    id = stage.submit()

    def score(claim: ScoringClaim, report: Report) -> NoReturn:
        stage.runs.cancel("default", id)
        stage.beat()
        raise BrokenPipeError("a process that was stopped")

    stage.score = score
    stage.worker.step()
    assert stage.view(id).state is State.CANCELED


def test_a_drain_gives_it_back_with_nothing_charged(stage: Stage) -> None:
    id = stage.submit()

    def score(claim: ScoringClaim, report: Report) -> NoReturn:
        stage.worker.stop()
        obey(report, Progress(rows=7, parts=1))
        raise AssertionError("it goes on")

    stage.score = score
    stage.worker.step()
    view = stage.view(id)
    assert (view.state, view.attempts, view.progress.parts) == (State.QUEUED, 0, 1)
    assert stage.notices.told == []


def test_what_was_published_before_it_heard_of_the_drain_counts(stage: Stage) -> None:
    id = stage.submit()

    def score(claim: ScoringClaim, report: Report) -> RunSummary:
        stage.worker.stop()
        return SUMMARY

    stage.score = score
    stage.worker.step()
    assert stage.view(id).state is State.SUCCEEDED


def test_a_run_that_is_claimed_during_the_drain_is_given_back(stage: Stage) -> None:
    id = stage.submit()
    stage.score = lambda claim, report: obey(report) or SUMMARY  # type: ignore[func-returns-value]
    stage.worker.stop()
    stage.worker.step()
    assert stage.view(id).state is State.QUEUED


def test_a_lost_lease_stops_it_and_nothing_is_recorded(stage: Stage) -> None:
    id = stage.submit()

    def score(claim: ScoringClaim, report: Report) -> NoReturn:
        stage.pass_time(LEASE + 1)
        stage.runs.claim(["m"], LEASE)  # another worker takes it
        stage.beat()
        obey(report, Progress(rows=7))
        raise AssertionError("it goes on")

    stage.score = score
    stage.worker.step()
    view = stage.view(id)
    assert (view.state, view.attempts, view.progress) == (State.RUNNING, 2, Progress())


def test_who_was_overtaken_without_hearing_of_it_records_nothing(stage: Stage) -> None:
    id = stage.submit()

    def score(claim: ScoringClaim, report: Report) -> RunSummary:
        stage.pass_time(LEASE + 1)
        stage.runs.claim(["m"], LEASE)
        return SUMMARY

    stage.score = score
    stage.worker.step()
    assert stage.view(id).state is State.RUNNING


def test_a_store_that_is_away_for_longer_than_the_lease_is_a_lost_lease(stage: Stage) -> None:
    stage.submit()
    answers: list[bool] = []

    def score(claim: ScoringClaim, report: Report) -> RunSummary:
        stage.runs.away = 100
        for _ in range(3):
            stage.pass_time(LEASE / 2 - 1)
            stage.beat()
            answers.append(report(Progress()))
        raise faults.Canceled("stopped from outside")

    stage.score = score
    stage.worker.step()
    assert answers == [True, True, False]


def test_an_end_waits_for_a_store_that_is_away(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    id = stage.submit()
    monkeypatch.setattr("workers.scoring_lane.AWAY_S", 0.001)

    def score(claim: ScoringClaim, report: Report) -> RunSummary:
        stage.runs.away = 3
        return SUMMARY

    stage.score = score
    stage.worker.step()
    assert stage.view(id).state is State.SUCCEEDED


def test_whoever_lost_the_run_may_still_be_at_it(stage: Stage) -> None:
    """Its lock is held by a worker that does not know yet: that is no failure, and is waited for."""
    id = stage.submit()
    stage.runs.claim(["m"], LEASE)
    stage.pass_time(LEASE + 1)

    def busy(claim: ScoringClaim, report: Report) -> NoReturn:
        raise faults.RunBusy("somebody is at it")

    stage.score = busy
    stage.worker.step()
    assert stage.view(id).state is State.QUEUED
    assert not stage.worker.step()
    stage.score = lambda claim, report: SUMMARY
    stage.pass_time(LEASE + 1)
    stage.worker.step()
    assert (stage.view(id).state, stage.view(id).attempts) == (State.SUCCEEDED, 2)


def test_what_crashed_too_often_is_told(stage: Stage) -> None:
    id = stage.submit()
    for _ in range(MAX_DELIVERIES):
        stage.runs.claim(["m"], LEASE)
        stage.pass_time(LEASE + 1)
    assert not stage.worker.step()
    assert stage.view(id).reason is RunReason.CRASHED
    assert stage.notices.told == [id]


def test_it_serves_until_it_is_stopped(stage: Stage) -> None:
    began, over = threading.Event(), threading.Event()

    def score(claim: ScoringClaim, report: Report) -> RunSummary:
        began.set()
        assert over.wait(10)
        obey(report)
        raise AssertionError("it goes on")

    stage.score = score
    clean: list[bool] = []
    serving = threading.Thread(target=lambda: clean.append(stage.worker.run()))
    serving.start()
    id = stage.submit()
    stage.notices.work()
    assert began.wait(10)
    stage.worker.stop()
    over.set()
    serving.join(10)
    assert clean == [True]
    assert stage.view(id).state is State.QUEUED


def test_a_run_that_does_not_stop_is_left_after_the_grace(stage: Stage) -> None:
    began, over = threading.Event(), threading.Event()

    def score(claim: ScoringClaim, report: Report) -> RunSummary:
        began.set()
        assert over.wait(10)
        return SUMMARY

    stage.score = score
    worker = stage.new_worker(grace=0.01)
    stage.submit()
    clean: list[bool] = []
    serving = threading.Thread(target=lambda: clean.append(worker.run()))
    serving.start()
    assert began.wait(10)
    worker.stop()
    serving.join(10)
    assert clean == [False]
    over.set()
    for thread in threading.enumerate():
        if thread.name == "forebay-scoring":
            thread.join(10)


def test_a_bug_of_ours_ends_the_process(stage: Stage) -> None:
    stage.submit()

    def broken(request: object, tenant: str) -> NoReturn:
        raise SystemError("bug")

    worker = stage.new_worker(runs=None)
    with pytest.raises(AttributeError):
        worker.run()
    assert stage.new_worker(admitted=broken).step(), "what a run raises is judged"


def test_the_heart_beats_while_the_context_lasts() -> None:
    beats = threading.Semaphore(0)
    with in_a_thread(0.001)(beats.release):
        assert beats.acquire(timeout=10)
        assert beats.acquire(timeout=10)
    with in_a_thread(1000.0)(beats.release) as soon:
        soon()
        assert beats.acquire(timeout=10)
    assert not any(thread.name == "forebay-scoring-heartbeat" for thread in threading.enumerate())
    assert [interval_of(lease) for lease in (3.0, 30.0)] == [1.0, 2.0]


def test_what_it_counts(stage: Stage) -> None:
    registry = CollectorRegistry()
    of = {"model": "m", "version": "1"}
    seen: list[float | None] = []

    def score(claim: ScoringClaim, report: Report) -> RunSummary:
        report(Progress(rows=1000, parts=1))  # of an earlier attempt
        stage.pass_time(2)
        report(Progress(rows=1500))
        stage.beat()
        for name in ("running", "rows_per_second", "rows_total"):
            seen.append(registry.get_sample_value(f"forebay_scoring_{name}", of))  # noqa: PERF401
        report(Progress(rows=2000))
        return SUMMARY

    stage.score = score
    stage.submit()
    stage.new_worker(observer=PrometheusScoring(registry, stage.told.append, stage.time)).step()
    assert seen == [1.0, 250.0, 500.0]
    assert registry.get_sample_value("forebay_scoring_rows_total", of) == 1000.0
    assert registry.get_sample_value("forebay_scoring_running", of) == 0.0
    assert registry.get_sample_value("forebay_scoring_runs_total", {**of, "state": "succeeded"}) == 1.0
