"""With a scheduler, a triggerer and workers as processes: what `dag.test()` leaves out."""

from collections.abc import Iterator
from typing import Any

import pytest
from conftest import HOME, connection
from standin import Kept, StandIn, stand_in
from system import System, running, until

pytestmark = pytest.mark.timeout(200)


@pytest.fixture(scope="module")
def service() -> Iterator[StandIn]:
    with stand_in() as service:
        yield service


@pytest.fixture(scope="module")
def airflow(service: StandIn, database: None) -> Iterator[System]:
    with running(HOME, connection(service.url), {"digits", "endless"}) as system:
        yield system


def test_the_days_of_a_backfill_are_runs_of_their_own(service: StandIn, airflow: System) -> None:
    days = {"from_date": "2026-01-02T00:00:00Z", "to_date": "2026-01-04T00:00:00Z"}
    airflow.call("POST", "/api/v2/backfills", {"dag_id": "digits", "max_active_runs": 3, **days})
    # A deferral shorter than the scheduler's round may cost a try, by a race of Airflow's own: the next finds the run done.
    until("three days are scored", lambda: list(backfilled(airflow).values()) == ["success"] * 3)
    scored = {run_id: kept for run_id, kept in service.runs.items() if run_id.startswith("digits.")}
    assert len(scored) == 3
    assert {kept.order["output"] for kept in scored.values()} == {
        f"s3://lake/digits/dt=2026-01-0{day}" for day in (2, 3, 4)
    }


def backfilled(airflow: System) -> dict[str, Any]:
    return {run: state for run, state in airflow.tasks("digits").items() if run.startswith("backfill__")}


def test_who_clears_a_deferred_task_gets_the_same_run_and_who_fails_it_ends_it(
    service: StandIn, airflow: System
) -> None:
    dag_run = airflow.trigger("endless", "2026-01-21T00:00:00Z")
    until("the run is ordered", lambda: "endless" in models(service))
    (kept,) = [kept for kept in service.runs.values() if kept.order["model"] == "endless"]
    watched_again(kept)

    # Airflow tells the old trigger late: mostly when the next try has ordered already.
    airflow.clear("endless", dag_run)
    until("the old trigger was told", lambda: {"goes on", "was canceled"} & set(airflow.said_of_kills()))
    until("the next try has ordered", lambda: kept.ordered >= 2)
    watched_again(kept)
    assert kept.status == "queued"

    airflow.stop("triggerer")
    assert kept.status == "queued"
    airflow.start("triggerer")
    watched_again(kept)

    airflow.mark_failed("endless", dag_run)
    until("the run is canceled", lambda: kept.status == "canceled")
    assert airflow.tasks("endless") == {dag_run: "failed"}


def watched_again(kept: Kept) -> None:
    before = kept.watched
    until("a trigger watches the run", lambda: kept.watched > before)


def models(service: StandIn) -> set[str]:
    return {kept.order["model"] for kept in service.runs.values()}
