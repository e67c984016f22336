"""Whole DAG runs by `dag.test()`: the task's process, its deferral, the trigger, its resumption, what Airflow then knows."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from conftest import DAGS
from standin import ROWS, StandIn

NIGHT = datetime(2026, 11, 21, 2, tzinfo=UTC)
pytestmark = pytest.mark.usefixtures("database")


def run(dag_id: str, when: datetime = NIGHT) -> Any:
    from airflow.dag_processing.dagbag import DagBag

    dag = DagBag(DAGS).dags[dag_id]
    for task in dag.tasks:
        task.retry_delay = timedelta(0)
    return dag.test(logical_date=when)


def test_a_night_is_scored(forebay: StandIn) -> None:
    done = run("forebay_nightly")
    assert done.state == "success"
    ((run_id, kept),) = forebay.runs.items()
    assert kept.order["input"] == "s3://lake/features/dt=2026-11-20"
    assert run_id.startswith("forebay_nightly.score.20261120T020000Z-")
