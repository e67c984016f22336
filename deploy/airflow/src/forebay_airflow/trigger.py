"""Watches a run in the triggerer, for a task that is deferred."""

from collections.abc import AsyncIterator
from typing import Any

from airflow.sdk import BaseHook, TaskInstanceState
from airflow.triggers.base import BaseTrigger, TriggerEvent
from asgiref.sync import sync_to_async

from forebay_airflow.address import Address, address_of
from forebay_airflow.hook import AsyncRuns
from forebay_airflow.runs import Run
from forebay_airflow.watching import Lost, Pace, watch

TAKEN_OVER = frozenset({TaskInstanceState.RUNNING, TaskInstanceState.DEFERRED})
"""States of a task instance in which a try of it watches the run: this trigger's run is no longer its own to end."""


class ForebayScoreTrigger(BaseTrigger):
    """Fires once: `{"run": {…}}` as the service tells it when the run ended, `{"lost": "why"}` when nothing was heard of it for
    `patience` seconds. All it knows is in its arguments, so that another triggerer goes on where one stopped."""

    def __init__(self, forebay_conn_id: str, run_id: str, poll_interval: float = 30.0, patience: float = 600.0) -> None:
        super().__init__()
        self.forebay_conn_id = forebay_conn_id
        self.run_id = run_id
        self.poll_interval = poll_interval
        self.patience = patience

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return (
            "forebay_airflow.trigger.ForebayScoreTrigger",
            {
                "forebay_conn_id": self.forebay_conn_id,
                "run_id": self.run_id,
                "poll_interval": self.poll_interval,
                "patience": self.patience,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        async with AsyncRuns(await self._address()) as runs:
            seen = await watch(self.run_id, runs.look_once, Pace(self.poll_interval, self.patience), self.log.info)
        yield TriggerEvent(event_of(seen))

    async def on_kill(self) -> None:
        """Cancels the run: somebody marked the deferred task failed or successful, or cleared it. Airflow does not call this
        when a triggerer stops; it does when a triggerer that was taken for dead finds its triggers with another one, and late
        when a cleared task is already at its next try, which goes on with this same run. Both are told by the task's state."""
        if await self._taken_over():
            self.log.info("scoring run %s goes on: another try of its task watches it", self.run_id)
            return
        async with AsyncRuns(await self._address()) as runs:
            run = await runs.cancel(self.run_id)
        self.log.info("scoring run %s was canceled with its task: %s", self.run_id, run.state if run else "unknown")

    async def _address(self) -> Address:
        return address_of(await BaseHook.aget_connection(self.forebay_conn_id))

    async def _taken_over(self) -> bool:
        from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

        ti = self.task_instance
        if ti is None:
            return False
        states = await sync_to_async(RuntimeTaskInstance.get_task_states)(
            dag_id=ti.dag_id, task_ids=[ti.task_id], run_ids=[ti.run_id], map_index=ti.map_index
        )
        return any(state in TAKEN_OVER for state in states.get(ti.run_id, {}).values())


def event_of(seen: Run | Lost) -> dict[str, Any]:
    return {"lost": seen.why} if isinstance(seen, Lost) else {"run": dict(seen.body)}


def seen_of(event: dict[str, Any]) -> Run | Lost:
    return Lost(str(event["lost"])) if "lost" in event else Run.read(event.get("run"))
