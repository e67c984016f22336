"""With a scheduler, a triggerer and workers as processes, on Forebay itself: what `dag.test()` leaves out."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from conftest import HOME, connection
from proxy import Proxy
from service import Service, ids_of
from system import System, running, until

pytestmark = pytest.mark.timeout(200)
DAYS = ("2026-02-01", "2026-02-02", "2026-02-03")


@pytest.fixture(scope="module")
def airflow(line: Proxy, database: None) -> Iterator[System]:
    with running(HOME, connection(line.url), {"forebay_nightly", "held"}) as system:
        yield system


def test_the_scheduler_scores_the_day_that_has_ended(service: Service, airflow: System) -> None:
    """Unasked, for it is a DAG that is not paused."""
    yesterday = {str(datetime.now(UTC).date() - timedelta(days=ago)).replace("-", "") for ago in (1, 2)}

    def scored() -> list[Any]:
        """Or the day before, when it was midnight meanwhile."""
        nights = service.runs("forebay_nightly.score.").items()
        return [run for name, run in nights if run.ok and name.split(".")[2][:8] in yesterday]

    until("last night is scored", scored)


def test_the_days_of_a_backfill_are_runs_of_their_own_and_a_killed_worker_costs_none(
    service: Service, airflow: System
) -> None:
    with service.slow():
        days = {"from_date": f"{DAYS[0]}T00:00:00Z", "to_date": f"{DAYS[-1]}T00:00:00Z"}
        airflow.call("POST", "/api/v2/backfills", {"dag_id": "forebay_nightly", "max_active_runs": 3, **days})
        until("three days are waited for", lambda: list(backfilled(airflow).values()) == ["deferred"] * 3)
        until("two are at work", lambda: sum(run.progress.parts == 1 for run in nights(service).values()) == 2)
        service.kill(service.workers.pop())
    until("three days are scored", lambda: list(backfilled(airflow).values()) == ["success"] * 3)

    scored = nights(service)
    assert sorted(run.attempts for run in scored.values()) == [1, 1, 2]
    assert {run.output for run in scored.values()} == {str(service.output("scores", day)) for day in DAYS}
    for (name, _), day, found in zip(
        sorted(scored.items()), DAYS, service.read(*(service.output("scores", day) for day in DAYS)), strict=True
    ):
        assert found == {"ids": ids_of(day), "run": f"_forebay/{name}.json", "success": True, "strays": []}
    assert sorted(airflow.announced("forebay_nightly", "backfill__")) == sorted(scored)


def backfilled(airflow: System) -> dict[str, Any]:
    return {run: state for run, state in airflow.tasks("forebay_nightly").items() if run.startswith("backfill__")}


def nights(service: Service) -> dict[str, Any]:
    return service.runs("forebay_nightly.score.202602")


def test_who_clears_a_deferred_task_gets_the_same_run_and_who_fails_it_ends_it(
    service: Service, airflow: System, line: Proxy
) -> None:
    with service.slow():
        dag_run = airflow.trigger("held", "2026-01-22T00:00:00Z")  # the day before
        until("the run is at work", lambda: [run for run in held(service).values() if run.progress.parts == 1])
        (run_id,) = held(service)
        watched_again(line, run_id)

        # Airflow tells the old trigger late: mostly when the next try has ordered already.
        airflow.clear("held", dag_run)
        until("the old trigger was told", lambda: {"goes on", "was canceled"} & set(airflow.said_of_kills()))
        until("the next try has ordered", lambda: line.ordered(run_id) >= 2)
        watched_again(line, run_id)
        until("it is at work", lambda: going_on(service, run_id))

        airflow.stop("triggerer")
        assert going_on(service, run_id)
        airflow.start("triggerer")
        watched_again(line, run_id)

        airflow.mark_failed("held", dag_run)
        until("the run is canceled", lambda: held(service)[run_id].status == "canceled")
    assert airflow.tasks("held")[dag_run] == "failed"
    assert not service.output("held-scores", "2026-01-21").exists()


def held(service: Service) -> dict[str, Any]:
    return service.runs("held.score.20260121T")


def going_on(service: Service, run_id: str) -> bool:
    """With what was done kept."""
    run = held(service)[run_id]
    return run.status == "running" and not run.cancel_asked and run.progress.parts == 1


def watched_again(line: Proxy, run_id: str) -> None:
    before = line.watched(run_id)
    until("a trigger watches the run", lambda: line.watched(run_id) > before)
