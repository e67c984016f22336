"""What a task instance is told, as far as the operator asks."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

DAY = datetime(2026, 1, 20, tzinfo=UTC)


def context(day: datetime | None = DAY, *, dag: str = "nightly", task: str = "score", index: int = -1, run: str = "manual__1",
            logical: datetime | None = None) -> dict[str, Any]:  # fmt: skip
    from airflow.sdk.execution_time.context import OutletEventAccessors

    told: dict[str, Any] = {
        "ti": SimpleNamespace(dag_id=dag, task_id=task, map_index=index),
        "run_id": run,
        "outlet_events": OutletEventAccessors(),
    }
    if day is not None:
        told |= {"data_interval_start": day, "data_interval_end": day + timedelta(days=1), "logical_date": day}
    elif logical is not None:
        told["logical_date"] = logical
    return told
