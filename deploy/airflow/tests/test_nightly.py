"""Whole DAG runs by `dag.test()`, on Forebay itself: the task's process, its deferral, the trigger, its resumption, the scores,
what Airflow then knows."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from conftest import DAGS, LAKE, connection
from proxy import Fault, Proxy
from service import ROWS, Service, ids_of

DAY = "2026-01-20"
pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture(autouse=True)
def on_the_line(line: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_FOREBAY_DEFAULT", connection(line.url))


def run(dag_id: str, day: str | None = DAY) -> Any:
    """The DAG run; a manual one at midnight has the interval of the day that ended then."""
    from airflow.dag_processing.dagbag import DagBag

    when = None if day is None else datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(days=1)
    return DagBag(DAGS).dags[dag_id].test(logical_date=when)


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


def announced(done: Any) -> list[Any]:
    from airflow.models.asset import AssetEvent, AssetModel
    from sqlalchemy import select

    found = rows(
        select(AssetModel.uri, AssetEvent.extra)
        .join(AssetModel, AssetModel.id == AssetEvent.asset_id)
        .where(AssetEvent.source_dag_id == done.dag_id, AssetEvent.source_run_id == done.run_id)
    )
    return [(uri, extra["run_id"], extra["output"], extra["rows"]) for uri, extra in found]


def files(output: Path) -> dict[str, tuple[int, int]]:
    """Of each file by path: its inode and when it was last written."""
    found = {str(path): path.stat() for path in output.rglob("*") if path.is_file()}
    return {path: (stat.st_ino, stat.st_mtime_ns) for path, stat in found.items()}


def tries(done: Any) -> list[int]:
    return [ti.try_number for ti in done.get_task_instances()]


def test_a_night_is_scored_once_however_often_it_is_run(service: Service) -> None:
    output = service.output("scores", DAY)
    first = run("forebay_nightly")
    assert first.state == "success"
    ((run_id, scored),) = service.runs("forebay_nightly.score.20260120T").items()
    assert (scored.status, scored.attempts, scored.version, scored.output) == ("succeeded", 1, "1", str(output))
    (summary,) = kept(first)
    assert (summary["run_id"], summary["rows"], summary["rejected"], summary["parts"]) == (run_id, ROWS, 0, 2)
    assert kept(first, "_link_ForebayRunLink") == [""], "a browser would be answered 401"
    assert announced(first) == [(f"{LAKE}/scores", run_id, str(output), ROWS)]
    (found,) = service.read(output)
    assert found == {"ids": ids_of(DAY), "run": f"_forebay/{run_id}.json", "success": True, "strays": []}

    before = files(output)
    again = run("forebay_nightly")
    assert again.state == "success"
    assert [summary["run_id"] for summary in kept(again)] == [run_id]
    assert service.runs("forebay_nightly.score.20260120T")[run_id].attempts == 1
    assert files(output) == before


def test_on_a_bad_line_a_day_is_scored_once(service: Service, line: Proxy) -> None:
    line.faults.extend([
        Fault.LOST, Fault.REFUSED, Fault.TORN, None,  # the order
        Fault.FOREIGN, Fault.LOST, None,  # the look before it defers
        Fault.TORN, Fault.REFUSED, Fault.FOREIGN, Fault.LOST,  # the trigger
    ])  # fmt: skip
    with service.slow(until=lambda: not line.faults):
        done = run("held")
    assert (done.state, tries(done)) == ("success", [1])
    ((run_id, scored),) = service.runs("held.score.20260120T").items()
    assert (scored.status, scored.attempts) == ("succeeded", 1)
    assert (line.ordered(run_id), len(line.met)) == (4, 9)
    (found,) = service.read(service.output("held-scores", DAY))
    assert (found["ids"], found["success"], found["strays"]) == (ids_of(DAY), True, [])


def test_a_retry_is_the_same_run(service: Service) -> None:
    """The first try finds no partition."""
    done = run("late")
    assert (done.state, tries(done)) == ("success", [2])
    ((_, scored),) = service.runs("late.").items()
    assert (scored.attempts, scored.status) == (2, "succeeded")
    (found,) = service.read(service.output("late-scores", DAY))
    assert found["ids"] == ids_of(DAY)


def test_what_a_retry_cannot_mend_is_not_tried_again(service: Service) -> None:
    done = run("spoilt")
    assert (done.state, tries(done)) == ("failed", [1])
    ((_, scored),) = service.runs("spoilt.").items()
    assert (scored.attempts, scored.error.reason) == (1, "too_many_rejects")
    assert not service.output("spoilt-scores", DAY).exists()
    assert announced(done) == []


def test_an_empty_partition_is_a_success_and_said_to_be_empty(service: Service) -> None:
    done = run("empty")
    assert done.state == "success"
    assert [(uri, count) for uri, _, _, count in announced(done)] == [(f"{LAKE}/empty-scores", 0)]
    (found,) = service.read(service.output("empty-scores", DAY))
    assert (found["ids"], found["success"]) == ([], True)


def test_it_can_wait_by_itself(service: Service) -> None:
    assert run("waited").state == "success"
    assert [scored.status for scored in service.runs("waited.").values()] == ["succeeded"]


def test_mapped_tasks_are_runs_of_their_own(service: Service) -> None:
    done = run("mapped", None)
    assert done.state == "success"
    outputs = {service.output("mapped", each) for each in ("a", "b")}
    assert {Path(scored.output) for scored in service.runs("mapped.").values()} == outputs
    assert [found["ids"] for found in service.read(*outputs)] == [ids_of(DAY)] * 2
