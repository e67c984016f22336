"""One DAG for each way that a run can come to its end: by its input."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, CronDataIntervalTimetable

from forebay_airflow import ForebayScoreOperator

LAKE = os.environ["FOREBAY_LAKE"]


def comes_late(context: Any) -> None:
    """What the first try missed is there for the second."""
    if (Path(LAKE) / "coming").exists():
        (Path(LAKE) / "coming").rename(Path(LAKE) / "late")


for name, features in {
    "late": "late", "spoilt": "spoilt", "empty": "empty", "waited": "features", "held": "features",
}.items():  # fmt: skip
    with DAG(
        dag_id=name,
        schedule=CronDataIntervalTimetable("0 0 * * *", timezone="UTC"),
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        end_date=datetime(2026, 2, 1, tzinfo=UTC),  # nothing is scheduled unasked
        catchup=False,
        default_args={"retries": 2, "retry_delay": timedelta(0), "on_retry_callback": comes_late},
    ) as dag:
        ForebayScoreOperator(
            task_id="score",
            model="digits",
            input_uri=LAKE + "/" + features + "/dt={{ data_interval_start | ds }}",
            output_uri=LAKE + "/" + name + "-scores/dt={{ data_interval_start | ds }}",
            passthrough=["id"],
            deferrable=name != "waited",
            poll_interval=timedelta(seconds=1),
        )
    globals()[name] = dag

with DAG(dag_id="mapped", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)):
    ForebayScoreOperator.partial(
        task_id="score", model="digits", input_uri=LAKE + "/features/dt=2026-01-20", passthrough=["id"]
    ).expand(output_uri=[LAKE + "/mapped/dt=a", LAKE + "/mapped/dt=b"])
