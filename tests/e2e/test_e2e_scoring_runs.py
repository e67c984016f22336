"""Scoring runs of the service with real processes: killed, frozen, stopped, canceled, and crashing again and again."""

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow
import pytest
from pyarrow import dataset, parquet

from forebay_client import Client, Forbidden, ScoringRun
from schemas.scoring_runs import MAX_DELIVERIES
from tests.e2e import probe, scoring_worker
from tests.e2e.clients import submit_all
from tests.e2e.probe import Kind
from tests.e2e.processes import ROOT, Forebay, eventually
from tests.e2e.stage import Stage, stage

pytestmark = pytest.mark.timeout(120)


@dataclass(frozen=True)
class Service:
    """An API, and the run of one test."""

    on: Stage
    client: Client
    data: Path
    run_id: str
    url: str
    workers: list[Forebay]

    @property
    def output(self) -> Path:
        return self.data / self.run_id

    def worker(self) -> Forebay:
        self.workers.append(self.on.place.start_module(scoring_worker.MODULE))
        return self.workers[-1]

    def score(self, **how: int) -> ScoringRun:
        where = json.dumps({"parts": 4, "looks": 1, **how})
        return self.client.score(probe.NAME, str(self.data / "in"), str(self.output), run_id=self.run_id, where=where)

    def run(self) -> ScoringRun:
        return self.client.scoring_run(self.run_id)

    def wait(self) -> ScoringRun:
        return self.client.wait_scoring_run(self.run_id, timeout=60)

    def until_part(self, part: int) -> None:
        eventually(lambda: (self.output / f"{part}").exists(), 30, lambda: f"part {part} was not done")

    def done_by(self) -> list[tuple[int, int]]:
        """(pid, part), in order."""
        lines = (self.output / scoring_worker.LOG).read_text().split("\n")[:-1]
        return [(int(pid), int(part)) for pid, part in (line.split() for line in lines)]


@contextmanager
def service(store: str | None) -> Iterator[Service]:
    with stage(store, LEASE="1500ms") as on:
        data = on.place.folder / "data"
        (data / "in").mkdir(parents=True)
        on.place.environ({"FOREBAY_SCORING_ROOTS": str(data)})
        api = on.place.start("api").ready()
        with Client(api.url) as client:
            yield Service(on, client, data, "nightly", api.url, [])


@pytest.fixture(scope="module")
def shared() -> Iterator[Service]:
    with service(None) as at:
        yield at


@pytest.fixture
def at(shared: Service, request: pytest.FixtureRequest) -> Iterator[Service]:
    """One API for all tests, each with a run of its own; it leaves no worker behind."""
    yield replace(shared, run_id=request.node.name[:100])
    while shared.workers:
        shared.workers.pop().kill()


def test_a_run_is_submitted_done_and_found_again(at: Service) -> None:
    with pytest.raises(Forbidden, match="FOREBAY_SCORING_ROOTS"):
        at.client.score(probe.NAME, "/etc", str(at.output))
    at.score()
    jobs = at.on.place.start("worker").ready()
    submit_all(at.url, at.on.history, [(1, Kind.GOOD)])
    at.on.rest(within=20)
    assert at.run().status == "queued", "a worker of jobs took it"
    assert jobs.stop() == 0
    worker = at.worker()
    run = at.wait().raise_for_status()
    assert run.summary is not None
    assert (run.summary.rows, run.progress.rows, run.attempts) == (400, 400, 1)
    assert at.score().status == "succeeded"
    assert [listed.run_id for listed in at.client.scoring_runs(state="succeeded")] == [at.run_id]
    assert worker.stop() == 0


def test_a_worker_that_is_killed_is_replaced_and_nothing_is_done_twice(at: Service) -> None:
    _kill_in_the_middle(at)


def test_the_same_on_postgresql(postgres_url: str) -> None:
    with service(postgres_url) as at:
        _kill_in_the_middle(at)


def _kill_in_the_middle(at: Service) -> None:
    first = at.worker().ready()
    at.score(parts=6, looks=20)
    at.until_part(2)
    first.kill()
    second = at.worker()
    run = at.wait().raise_for_status()
    assert run.attempts == 2
    done = at.done_by()
    assert sorted(part for _, part in done) == list(range(6))
    assert {pid for pid, _ in done} == {first.pid, second.pid}
    assert second.stop() == 0


def test_a_drain_gives_the_run_back_and_charges_nothing(at: Service) -> None:
    first = at.worker().ready()
    at.score(parts=4, looks=50)
    at.until_part(1)
    first.signal(signal.SIGTERM)
    assert first.wait(10) == 0
    run = at.run()
    assert (run.status, run.attempts) == ("queued", 0)
    assert run.progress.parts >= 2
    at.worker()
    assert at.wait().raise_for_status().attempts == 1
    assert sorted(part for _, part in at.done_by()) == list(range(4))


def test_a_frozen_worker_that_was_overtaken_records_nothing(at: Service) -> None:
    first = at.worker().ready()
    at.score(parts=6, looks=100)
    at.until_part(0)
    first.signal(signal.SIGSTOP)
    second = at.worker()
    eventually(lambda: at.run().attempts == 2, 30)
    first.signal(signal.SIGCONT)
    eventually(lambda: "somebody else's by now" in first.complained, 20)
    run = at.wait().raise_for_status()
    assert run.attempts == 2
    assert first.stop() == 0
    assert second.stop() == 0


def test_a_run_that_always_kills_its_worker_is_failed(at: Service) -> None:
    at.score(parts=4, dies_at=2)
    killed = 0
    while _dies(at):
        killed += 1
    # One more when the two parts that the first got done were told before it died.
    assert MAX_DELIVERIES <= killed <= MAX_DELIVERIES + 1
    run = at.wait()
    assert run.error is not None
    assert (run.status, run.error.reason) == ("failed", "crashed")


def _dies(at: Service) -> bool:
    """Whether a worker does that takes it up; else it is over."""
    worker = at.worker()
    eventually(lambda: worker.code is not None or at.run().done, 60)
    return worker.code == -signal.SIGKILL


def test_what_runs_is_canceled_and_goes_on_when_it_is_submitted_again(at: Service) -> None:
    worker = at.worker().ready()
    at.score(parts=4, looks=100)
    at.until_part(0)
    asked = at.client.cancel_scoring_run(at.run_id)
    assert (asked.status, asked.cancel_asked) == ("running", True)
    assert at.wait().status == "canceled"
    assert at.score(parts=4, looks=100).status == "queued"
    run = at.wait().raise_for_status()
    assert run.attempts == 2
    assert sorted(part for _, part in at.done_by()) == list(range(4))
    assert worker.stop() == 0


def test_the_real_thing(at: Service) -> None:
    """`forebay worker --scoring` with the local engine, on the model of the repository."""
    rows = [[float((n + pixel) % 17) for pixel in range(64)] for n in range(1000)]
    parquet.write_table(pyarrow.table({"id": range(1000), "pixels": rows}), at.data / "in" / "rows.parquet")
    api = at.on.place.start("api", MODELS=str(ROOT / "models")).ready()
    worker = at.on.place.start("worker", "--scoring", MODELS=str(ROOT / "models")).ready()
    with Client(api.url) as client:
        asked = client.score("digits", str(at.data / "in"), str(at.output), run_id=at.run_id, passthrough=["id"])
        run = client.wait_scoring_run(asked, timeout=60).raise_for_status()
    assert run.summary is not None
    assert (run.summary.rows, run.summary.rejected, run.progress.rows_total) == (1000, 0, 1000)
    assert dataset.dataset(at.output).to_table().column("id").to_pylist() == list(range(1000))
    assert worker.stop() == 0
