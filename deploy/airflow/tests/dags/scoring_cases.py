"""One DAG for each way that a run can come to its end: its model's name says which."""

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, CronDataIntervalTimetable

from forebay_airflow import ForebayScoreOperator

for model in ("digits", "flaky", "spoilt", "empty", "waited", "endless"):
    with DAG(
        dag_id=model,
        schedule=CronDataIntervalTimetable("0 0 * * *", timezone="UTC"),
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        end_date=datetime(2026, 2, 1, tzinfo=UTC),  # nothing is scheduled unasked
        catchup=False,
        default_args={"retries": 2, "retry_delay": timedelta(0)},
    ) as dag:
        ForebayScoreOperator(
            task_id="score",
            model=model,
            input_uri="s3://lake/features/dt={{ data_interval_start | ds }}",
            output_uri="s3://lake/" + model + "/dt={{ data_interval_start | ds }}",
            deferrable=model != "waited",
            poll_interval=timedelta(seconds=5),
        )
    globals()[model] = dag

with DAG(dag_id="mapped", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)):
    ForebayScoreOperator.partial(task_id="score", model="digits", input_uri="s3://lake/features").expand(
        output_uri=["s3://lake/mapped/a", "s3://lake/mapped/b"]
    )
