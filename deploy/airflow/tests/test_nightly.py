"""Whole DAG runs by `dag.test()`: the task's process, its deferral, the trigger, its resumption, what Airflow then knows."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from conftest import DAGS
from standin import ROWS, StandIn

MIDNIGHT = datetime(2026, 1, 21, tzinfo=UTC)
pytestmark = pytest.mark.usefixtures("database")


def run(dag_id: str, when: datetime | None = MIDNIGHT) -> Any:
    """The DAG run; a manual one at midnight has the interval of the day that ended then."""
    from airflow.dag_processing.dagbag import DagBag

    dag = DagBag(DAGS).dags[dag_id]
    for task in dag.tasks:
        task.retry_delay = timedelta(0)
    return dag.test(logical_date=when)


def rows(statement: Any) -> list[Any]:
    from airflow.utils.session import create_session

    with create_session() as session:
        return [tuple(row) for row in session.execute(statement).all()]


def kept(done: Any, key: str = "return_value") -> list[Any]:
    """XComs of a DAG run."""
    from airflow.models.xcom import XComModel
    from sqlalchemy import select

    where = (XComModel.dag_id == done.dag_id, XComModel.run_id == done.run_id, XComModel.key == key)
    return [XComModel.deserialize_value(row[0]) for row in rows(select(XComModel).where(*where))]


def test_a_night_is_scored(forebay: StandIn) -> None:
    done = run("forebay_nightly")
    assert done.state == "success"
    ((run_id, scored),) = forebay.runs.items()
    assert run_id.startswith("forebay_nightly.score.20260120T000000Z-")
    assert scored.order["input"] == "s3://lake/features/dt=2026-01-20"
    assert scored.order["output"] == "s3://lake/scores/dt=2026-01-20"
    (summary,) = kept(done)
    assert (summary["run_id"], summary["rows"], summary["rejected"]) == (run_id, ROWS, 2)
    assert kept(done, "_link_ForebayRunLink") == [f"{forebay.url}/scoring_runs/{run_id}"]
    assert announced(done) == [("s3://lake/scores", run_id, scored.order["output"], ROWS)]


def announced(done: Any) -> list[Any]:
    from airflow.models.asset import AssetEvent, AssetModel
    from sqlalchemy import select

    found = rows(
        select(AssetModel.uri, AssetEvent.extra)
        .join(AssetModel, AssetModel.id == AssetEvent.asset_id)
        .where(AssetEvent.source_dag_id == done.dag_id, AssetEvent.source_run_id == done.run_id)
    )
    return [(uri, extra["run_id"], extra["output"], extra["rows"]) for uri, extra in found]


def test_the_same_night_again_is_the_same_run(forebay: StandIn) -> None:
    first, second = run("forebay_nightly"), run("forebay_nightly")
    assert (first.state, second.state) == ("success", "success")
    ((_, scored),) = forebay.runs.items()
    assert scored.attempts == 1


def test_a_retry_is_the_same_run(forebay: StandIn) -> None:
    done = run("flaky")
    assert done.state == "success"
    assert [(scored.attempts, scored.status) for scored in forebay.runs.values()] == [(2, "succeeded")]
    (ti,) = done.get_task_instances()
    assert ti.try_number == 2


def test_what_a_retry_cannot_mend_is_not_tried_again(forebay: StandIn) -> None:
    done = run("spoilt")
    assert done.state == "failed"
    (ti,) = done.get_task_instances()
    assert ti.try_number == 1
    assert [scored.attempts for scored in forebay.runs.values()] == [1]


def test_an_empty_partition_is_a_success_and_said_to_be_empty(forebay: StandIn) -> None:
    done = run("empty")
    assert done.state == "success"
    assert [(uri, count) for uri, _, _, count in announced(done)] == [("s3://lake/empty", 0)]


def test_it_can_wait_by_itself(forebay: StandIn) -> None:
    assert run("waited").state == "success"


def test_mapped_tasks_are_runs_of_their_own(forebay: StandIn) -> None:
    done = run("mapped", None)
    assert done.state == "success"
    assert {scored.order["output"] for scored in forebay.runs.values()} == {"s3://lake/mapped/a", "s3://lake/mapped/b"}
    assert len(forebay.runs) == 2
