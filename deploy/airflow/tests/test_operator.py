"""The operator by itself: orders, looks, defers, resumes. Airflow's part of it is in test_nightly.py."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk import Asset, AssetAlias
from airflow.sdk.exceptions import AirflowException, AirflowFailException, TaskDeferralTimeout, TaskDeferred
from conftest import connection
from contexts import context
from standin import ROWS, StandIn

from forebay_airflow import ForebayScoreOperator, ForebayScoreTrigger
from forebay_airflow.naming import run_id_of

OUT = "s3://lake/scores/dt=2026-01-20"


def operator(model: str = "digits", **more: Any) -> ForebayScoreOperator:
    given = {"input_uri": "s3://lake/in", "output_uri": OUT, "poll_interval": timedelta(seconds=0.2)}
    return ForebayScoreOperator(task_id="score", model=model, **(given | more))


def execute(task: ForebayScoreOperator, told: dict[str, Any]) -> dict[str, Any]:
    """Past Airflow's guard against calling `execute` by hand."""
    return ForebayScoreOperator.execute.__wrapped__(task, told)


def deferred(task: ForebayScoreOperator, told: dict[str, Any]) -> TaskDeferred:
    with pytest.raises(TaskDeferred) as met:
        execute(task, told)
    return met.value


def fired(trigger: Any) -> dict[str, Any]:
    """The event of the trigger, as another process makes it from what was stored."""
    path, kwargs = trigger.serialize()
    assert path == "forebay_airflow.trigger.ForebayScoreTrigger"

    async def first() -> Any:
        return await anext(aiter(ForebayScoreTrigger(**kwargs).run()))

    return asyncio.run(first()).payload


def test_it_orders_defers_and_resumes(forebay: StandIn) -> None:
    told, task = context(), operator(version="production", passthrough=["id"], max_rejects=0.02)
    defer = deferred(task, told)
    run_id = run_id_of(told)
    assert forebay.runs[run_id].order == {
        "run_id": run_id, "model": "digits", "version": "production", "input": "s3://lake/in", "output": OUT,
        "passthrough": ["id"], "max_rejects": 0.02,
    }  # fmt: skip
    assert defer.method_name == "execute_complete"
    summary = operator().execute_complete(told, fired(defer.trigger))
    assert summary == {
        "run_id": run_id, "output": OUT, "rows": ROWS, "rejected": 2, "parts": 1, "attempts": 1,
        "summary": {"output": OUT, "seconds": 0.1},
    }  # fmt: skip


def test_it_looks_before_it_defers(forebay: StandIn) -> None:
    told = context()
    fired(deferred(operator(), told).trigger)
    assert execute(operator(), told)["rows"] == ROWS  # again: done already
    assert forebay.runs[run_id_of(told)].attempts == 1


def test_an_empty_partition_is_a_success(forebay: StandIn) -> None:
    told = context()
    summary = operator().execute_complete(told, fired(deferred(operator("empty"), told).trigger))
    assert (summary["rows"], summary["rejected"]) == (0, 0)


def test_without_deferral_it_waits_itself(forebay: StandIn) -> None:
    assert execute(operator(deferrable=False), context())["rows"] == ROWS


@pytest.mark.parametrize(
    ("model", "error", "line"),
    [
        ("flaky", AirflowException, "the storage is full: 0 bytes left at s3://lake"),
        ("spoilt", AirflowFailException, "12 of 1,000 rows were rejected, 1.2 %, where 1 % are allowed: see _rejects/"),
    ],
)
def test_a_failed_run_fails_the_task_with_its_line(
    forebay: StandIn, model: str, error: type[Exception], line: str
) -> None:
    told = context()
    with pytest.raises(AirflowException) as met:
        operator(model).execute_complete(told, fired(deferred(operator(model), told).trigger))
    assert type(met.value) is error
    assert str(met.value) == f"scoring run {run_id_of(told)} failed: {line}"


def test_a_retry_is_the_same_run(forebay: StandIn) -> None:
    told = context()
    with pytest.raises(AirflowException):
        operator("flaky").execute_complete(told, fired(deferred(operator("flaky"), told).trigger))
    summary = operator("flaky").execute_complete(told, fired(deferred(operator("flaky"), told).trigger))
    assert (list(forebay.runs), summary["attempts"]) == ([run_id_of(told)], 2)


def test_what_is_refused_is_not_tried_again(forebay: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    deferred(operator("endless"), context())
    with pytest.raises(AirflowFailException, match=r"^Forebay refused the order: run id \S+ belongs to another order$"):
        execute(operator("endless", where="dt = '2026-01-20'"), context())
    monkeypatch.setenv("AIRFLOW_CONN_FOREBAY_DEFAULT", connection(forebay.url).replace("s3cret", "wrong"))
    with pytest.raises(AirflowFailException, match="a valid key is needed"):
        execute(operator(), context())


def test_a_service_that_is_away_fails_the_try(forebay: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forebay_airflow.asking.TRIES", 1)
    forebay.away = 1
    with pytest.raises(AirflowException, match="the store is away") as met:
        execute(operator(), context())
    assert not isinstance(met.value, AirflowFailException)


def test_a_service_that_stays_away_is_told_by_the_trigger(forebay: StandIn) -> None:
    told = context()
    defer = deferred(operator("endless", patience=timedelta(seconds=0)), told)
    forebay.away = 99
    with pytest.raises(AirflowException, match=r"nothing was heard of scoring run .* the store is away"):
        operator().execute_complete(told, fired(defer.trigger))


def test_a_run_that_somebody_canceled_fails_the_task_for_good(forebay: StandIn) -> None:
    told = context()
    defer = deferred(operator("endless"), told)
    forebay.answer("POST", f"/scoring_runs/{run_id_of(told)}/cancel", 0, None)
    with pytest.raises(AirflowFailException, match="was canceled; clear the task to go on with it"):
        operator().execute_complete(told, fired(defer.trigger))


def test_a_killed_task_cancels_what_it_ordered(forebay: StandIn) -> None:
    told, task = context(), operator("endless")
    deferred(task, told)
    task.on_kill()
    assert forebay.runs[run_id_of(told)].status == "canceled"


def test_a_task_killed_before_it_ordered_anything_asks_for_nothing(forebay: StandIn) -> None:
    operator(run_id="named").on_kill()
    assert forebay.asked == []


def test_a_service_that_is_away_does_not_stop_a_kill(forebay: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    task = operator("endless")
    deferred(task, context())
    monkeypatch.setattr("forebay_airflow.asking.TRIES", 1)
    forebay.away = 1
    task.on_kill()


def test_a_deferral_that_lasts_too_long_cancels_the_run(forebay: StandIn) -> None:
    told, limit = context(), timedelta(hours=1)
    assert deferred(operator("endless", execution_timeout=limit), told).timeout == limit
    with pytest.raises(TaskDeferralTimeout):
        operator("endless").resume_execution("__fail__", {"error": "Trigger timeout"}, told)
    assert forebay.runs[run_id_of(told)].status == "canceled"


def test_assets_are_told_what_was_scored(forebay: StandIn) -> None:
    told, scores, days = context(), Asset("scores", uri="s3://lake/scores"), AssetAlias("days")
    task = operator(outlets=[scores, days])
    task.execute_complete(told, fired(deferred(task, told).trigger))
    extra = told["outlet_events"][scores].extra
    assert (extra["output"], extra["rows"], extra["rejected"]) == (OUT, ROWS, 2)
    (event,) = told["outlet_events"][days].asset_alias_events
    assert (event.dest_asset_key.uri, event.extra["rows"]) == (OUT, ROWS)


def test_a_given_name_is_used() -> None:
    assert operator(run_id="{{ ds }}").run_id == "{{ ds }}"
    assert set(operator().template_fields) >= {"run_id", "input_uri", "output_uri", "where", "version"}
