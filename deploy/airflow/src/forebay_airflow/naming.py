"""The run id that a task instance has unless it names one: of the same work always the same, of other work another."""

import hashlib
import re
from datetime import UTC, datetime
from typing import Any

LONGEST = 120
_UNFIT = re.compile(r"[^A-Za-z0-9_.-]+")


def run_id_of(context: Any) -> str:
    """E.g. `nightly.score.20261120T000000Z-5d0c1b7e`: DAG, task, map index where there is one, start of the data interval, and
    a digest of all that tells it from others. A retry, a cleared task and a manual run of the same interval are the same run;
    the days of a backfill are not. Without an interval the logical date counts, without one Airflow's run id."""
    ti = context["ti"]
    when = _when(context)
    mapped = [str(ti.map_index)] if ti.map_index >= 0 else []
    exact = "\n".join([ti.dag_id, ti.task_id, *mapped, *when])
    readable = _UNFIT.sub("-", ".".join([ti.dag_id, ti.task_id, *mapped]))
    tail = f".{_UNFIT.sub('-', when[0])[:60]}-{hashlib.sha256(exact.encode()).hexdigest()[:8]}"
    return (readable[: LONGEST - len(tail)].lstrip("._-") or "run") + tail


def _when(context: Any) -> list[str]:
    start, end = context.get("data_interval_start"), context.get("data_interval_end")
    if start is not None and end is not None:
        return [_stamp(start), _stamp(end)]
    logical = context.get("logical_date")
    return [_stamp(logical)] if logical is not None else [str(context["run_id"])]


def _stamp(moment: datetime) -> str:
    fraction = f".{moment.microsecond:06d}" if moment.microsecond else ""
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%S") + fraction + "Z"
