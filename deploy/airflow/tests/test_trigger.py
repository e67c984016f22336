"""What the trigger does when its task is killed; what it watches is in test_operator.py."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from standin import Kept, StandIn

from forebay_airflow import ForebayScoreTrigger

TI = SimpleNamespace(dag_id="nightly", task_id="score", run_id="manual__1", map_index=-1)


@pytest.fixture
def trigger(forebay: StandIn) -> ForebayScoreTrigger:
    forebay.runs["a"] = Kept({"model": "endless", "output": "s3://lake/out"}, status="running")
    trigger = ForebayScoreTrigger("forebay_default", "a")
    trigger._task_instance = TI
    return trigger


@pytest.fixture
def standing(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """State by task, as Airflow tells it."""
    states = dict[str, str]()
    path = "airflow.sdk.execution_time.task_runner.RuntimeTaskInstance.get_task_states"
    monkeypatch.setattr(path, staticmethod(lambda **_: {"manual__1": states}))
    return states


@pytest.mark.parametrize("state", [{"score": "failed"}, {"score": "success"}, {"score": None}, {}])
def test_it_cancels_the_run(
    forebay: StandIn, trigger: ForebayScoreTrigger, standing: dict[str, Any], state: dict[str, Any]
) -> None:
    standing |= state
    asyncio.run(trigger.on_kill())
    assert forebay.runs["a"].status == "canceled"


@pytest.mark.parametrize("state", ["running", "deferred"])
def test_it_leaves_the_run_to_a_try_that_watches_it(
    forebay: StandIn, trigger: ForebayScoreTrigger, standing: dict[str, str], state: str
) -> None:
    standing["score"] = state
    asyncio.run(trigger.on_kill())
    assert forebay.runs["a"].status == "running"


def test_it_is_done_with_it_however_often_airflow_cancels_it(
    forebay: StandIn, trigger: ForebayScoreTrigger, standing: dict[str, str]
) -> None:
    async def kill() -> None:
        killing = asyncio.ensure_future(trigger.on_kill())
        while not killing.done():
            await asyncio.sleep(0)
            killing.cancel()

    asyncio.run(kill())
    assert forebay.runs["a"].status == "canceled"


def test_it_leaves_the_run_when_airflow_does_not_say(
    forebay: StandIn, trigger: ForebayScoreTrigger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(**_: Any) -> Any:
        raise TimeoutError

    path = "airflow.sdk.execution_time.task_runner.RuntimeTaskInstance.get_task_states"
    monkeypatch.setattr(path, staticmethod(unknown))
    asyncio.run(trigger.on_kill())
    assert forebay.runs["a"].status == "running"
