"""Every midnight, scores the partition of the day that has ended.

The run of a day has one name, so a retry goes on where it stopped, a cleared task finds what is done, and a backfill

    airflow backfill create --dag-id forebay_nightly --from-date 2026-02-01 --to-date 2026-02-14

scores each day by itself. It needs a connection `forebay_default` of type `forebay`.
"""

import os
from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, Asset, CronDataIntervalTimetable

from forebay_airflow import ForebayScoreOperator

LAKE = os.environ.get("FOREBAY_LAKE", "s3://lake")

with DAG(
    dag_id="forebay_nightly",
    description="Yesterday's features in, yesterday's scores out",
    # A cron string alone would give runs without an interval: data_interval_start would be the new day, not yesterday.
    schedule=CronDataIntervalTimetable("0 0 * * *", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=3,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=5)},
    tags=["forebay"],
    doc_md=__doc__,
):
    ForebayScoreOperator(
        task_id="score",
        model="digits",
        version="production",
        input_uri=LAKE + "/features/dt={{ data_interval_start | ds }}",
        output_uri=LAKE + "/scores/dt={{ data_interval_start | ds }}",
        passthrough=["id"],
        outlets=[Asset("scores", uri=LAKE + "/scores")],
        execution_timeout=timedelta(hours=6),
    )
