"""Watches a run in the triggerer, for a task that is deferred."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from airflow.sdk import BaseHook, TaskInstanceState
from airflow.sdk.exceptions import AirflowException, AirflowRuntimeError
from airflow.triggers.base import BaseTrigger, TriggerEvent
from asgiref.sync import sync_to_async

from forebay_airflow.address import address_of
from forebay_airflow.hook import AsyncRuns
from forebay_airflow.runs import Run
from forebay_airflow.watching import Lost, Pace, watch
from forebay_client import ForebayError

WATCHED = frozenset({TaskInstanceState.RUNNING, TaskInstanceState.DEFERRED})
KILLED_WITHIN = 60.0
"""Seconds; a triggerer that asks Airflow something for the first time takes a good part of it."""


class ForebayScoreTrigger(BaseTrigger):
    """Fires once: `{"run": {…}}` as the service tells it when the run ended, `{"lost": "why"}` when nothing was heard of it for
    `patience` seconds. All it knows is in its arguments, so that another triggerer goes on where one stopped."""

    def __init__(self, forebay_conn_id: str, run_id: str, poll_interval: float = 30.0, patience: float = 600.0) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow types it in part
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
        async with await self._runs() as runs:
            seen = await watch(self.run_id, runs.look_once, Pace(self.poll_interval, self.patience), self.log.info)
        yield TriggerEvent(event_of(seen))

    async def on_kill(self) -> None:
        """Cancels the run: somebody marked the deferred task failed or successful, or cleared it. Airflow does not call this
        when a triggerer stops. While it runs, Airflow cancels it anew about every second; what was begun is brought to its
        end all the same."""
        ending = asyncio.ensure_future(self._end())
        while not ending.done():
            with suppress(asyncio.CancelledError):
                await asyncio.shield(ending)

    async def _end(self) -> None:
        try:
            async with asyncio.timeout(KILLED_WITHIN):
                if await self._taken_over():
                    self.log.info("scoring run %s goes on: another try of its task watches it", self.run_id)
                    return
                async with await self._runs() as runs:
                    run = await runs.cancel(self.run_id)
        except (ForebayError, AirflowException, AirflowRuntimeError, TimeoutError) as met:
            self.log.warning(
                "scoring run %s could not be canceled with its task: %s", self.run_id, met or type(met).__name__
            )
        else:
            self.log.info("scoring run %s was canceled with its task: %s", self.run_id, run.state if run else "unknown")

    async def _runs(self) -> AsyncRuns:
        address = address_of(await BaseHook.aget_connection(self.forebay_conn_id))
        return await asyncio.to_thread(AsyncRuns, address)  # it reads certificates

    async def _taken_over(self) -> bool:
        """Whether a try of the task watches the run: one that was cleared is often at its next try before Airflow tells the
        old one's trigger, and a triggerer that was taken for dead is told so when another has its triggers."""
        from airflow.sdk.execution_time.task_runner import (
            RuntimeTaskInstance,  # large, and DAG files import this module
        )

        ti = self.task_instance
        if ti is None:
            return False
        states = await sync_to_async(RuntimeTaskInstance.get_task_states)(
            dag_id=ti.dag_id, task_ids=[ti.task_id], run_ids=[ti.run_id], map_index=ti.map_index
        )
        return any(state in WATCHED for state in states.get(ti.run_id, {}).values())


def event_of(seen: Run | Lost) -> dict[str, Any]:
    return {"lost": seen.why} if isinstance(seen, Lost) else {"run": dict(seen.body)}


def seen_of(event: dict[str, Any]) -> Run | Lost:
    return Lost(str(event["lost"])) if "lost" in event else Run.read(event.get("run"))
