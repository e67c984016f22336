"""Scoring runs of the service with real processes: killed, frozen, stopped, canceled, and crashing again and again."""

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from forebay_client import Client, Forbidden, ScoringRun
from schemas.scoring_runs import MAX_DELIVERIES
from tests.e2e import probe, scoring_worker
from tests.e2e.clients import submit_all
from tests.e2e.probe import Kind
from tests.e2e.processes import Forebay, eventually
from tests.e2e.stage import Stage, stage

pytestmark = pytest.mark.timeout(120)

LEASE_S = 1.5


@dataclass
class Service:
    on: Stage
    api: Forebay
    client: Client
    output: Path

    def worker(self) -> Forebay:
        return self.on.place.start_module(scoring_worker.MODULE)

    def score(self, run_id: str = "nightly", **how: int) -> ScoringRun:
        where = json.dumps({"parts": 4, "looks": 1, **how})
        return self.client.score(probe.NAME, str(self.output.parent), str(self.output), run_id=run_id, where=where)

    def until_part(self, part: int) -> None:
        eventually(lambda: (self.output / f"{part}").exists(), 30, lambda: f"part {part} was not done")

    def done_by(self) -> list[tuple[int, int]]:
        """(pid, part), in order."""
        lines = (self.output / scoring_worker.LOG).read_text().split("\n")[:-1]
        return [(int(pid), int(part)) for pid, part in (line.split() for line in lines)]


@contextmanager
def service(store: str | None = None) -> Iterator[Service]:
    with stage(store, LEASE=f"{int(LEASE_S * 1000)}ms") as on:
        data = on.place.folder / "data"
        data.mkdir()
        on.place.environ({"FOREBAY_SCORING_ROOTS": str(data)})
        api = on.place.start("api").ready()
        with Client(api.url) as client:
            yield Service(on, api, client, data / "out")


def test_a_run_is_submitted_done_and_found_again() -> None:
    with service() as at:
        with pytest.raises(Forbidden, match="FOREBAY_SCORING_ROOTS"):
            at.client.score(probe.NAME, "/etc", str(at.output))
        at.score()
        jobs = at.on.place.start("worker").ready()
        submit_all(at.api.url, at.on.history, [(1, Kind.GOOD)])
        at.on.rest(within=20)
        assert at.client.scoring_run("nightly").status == "queued", "a worker of jobs took it"
        assert jobs.stop() == 0
        worker = at.worker()
        run = at.client.wait_scoring_run("nightly", timeout=40).raise_for_status()
        assert run.summary is not None
        assert (run.summary.rows, run.progress.rows, run.attempts) == (400, 400, 1)
        assert at.score().status == "succeeded"
        assert [listed.run_id for listed in at.client.scoring_runs(state="succeeded")] == ["nightly"]
        assert worker.stop() == 0


def test_a_worker_that_is_killed_is_replaced_and_nothing_is_done_twice(store: str | None) -> None:
    with service(store) as at:
        first = at.worker().ready()
        at.score(parts=6, looks=20)
        at.until_part(2)
        first.kill()
        second = at.worker()
        run = at.client.wait_scoring_run("nightly", timeout=40).raise_for_status()
        assert run.attempts == 2
        done = at.done_by()
        assert sorted(part for _, part in done) == list(range(6))
        assert {pid for pid, _ in done} == {first.pid, second.pid}
        assert second.stop() == 0


def test_a_drain_gives_the_run_back_and_charges_nothing() -> None:
    with service() as at:
        first = at.worker().ready()
        at.score(parts=4, looks=50)
        at.until_part(1)
        first.signal(signal.SIGTERM)
        assert first.wait(10) == 0
        run = at.client.scoring_run("nightly")
        assert (run.status, run.attempts) == ("queued", 0)
        assert run.progress.parts >= 2
        at.worker()
        assert at.client.wait_scoring_run("nightly", timeout=40).raise_for_status().attempts == 1
        assert sorted(part for _, part in at.done_by()) == list(range(4))


def test_a_frozen_worker_that_was_overtaken_records_nothing() -> None:
    with service() as at:
        first = at.worker().ready()
        at.score(parts=6, looks=100)
        at.until_part(0)
        first.signal(signal.SIGSTOP)
        second = at.worker()
        eventually(lambda: at.client.scoring_run("nightly").attempts == 2, 30)
        first.signal(signal.SIGCONT)
        eventually(lambda: "somebody else's by now" in first.complained, 20)
        run = at.client.wait_scoring_run("nightly", timeout=40).raise_for_status()
        assert run.attempts == 2
        assert first.stop() == 0
        assert second.stop() == 0


def test_a_run_that_always_kills_its_worker_is_failed() -> None:
    with service() as at:
        at.score(parts=4, dies_at=2)
        for _ in range(MAX_DELIVERIES + 1):  # the first gets two parts done, which forgives it
            worker = at.worker()
            eventually(lambda worker=worker: worker.code is not None, 40)  # type: ignore[misc]  # mypy knows no such lambda
            assert worker.code == -signal.SIGKILL
        last = at.worker()
        run = at.client.wait_scoring_run("nightly", timeout=40)
        assert run.error is not None
        assert (run.status, run.error.reason, run.progress.parts) == ("failed", "crashed", 2)
        assert last.stop() == 0


def test_what_runs_is_canceled_and_goes_on_when_it_is_submitted_again() -> None:
    with service() as at:
        worker = at.worker().ready()
        at.score(parts=4, looks=100)
        at.until_part(0)
        asked = at.client.cancel_scoring_run("nightly")
        assert (asked.status, asked.cancel_asked) == ("running", True)
        assert at.client.wait_scoring_run("nightly", timeout=20).status == "canceled"
        assert at.score(parts=4, looks=100).status == "queued"
        run = at.client.wait_scoring_run("nightly", timeout=40).raise_for_status()
        assert run.attempts == 2
        assert sorted(part for _, part in at.done_by()) == list(range(4))
        assert worker.stop() == 0
