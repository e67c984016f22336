"""Scores a data set, once per data interval."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import cached_property
from typing import Any, NoReturn

from airflow.sdk import BaseOperator
from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import AirflowException, AirflowFailException, TaskDeferralTimeout

from forebay_airflow.asking import senseless
from forebay_airflow.assets import announce, asset_of
from forebay_airflow.hook import AsyncRuns, ForebayHook
from forebay_airflow.links import ForebayRunLink
from forebay_airflow.naming import run_id_of
from forebay_airflow.runs import SENSELESS, Run, State
from forebay_airflow.trigger import ForebayScoreTrigger, seen_of
from forebay_airflow.watching import Lost, Pace, watch
from forebay_client import ForebayError


class ForebayScoreOperator(BaseOperator):
    """Orders a scoring run, waits for its end, and returns `run_id, output, rows, rejected, parts, attempts, summary`.

    The run id comes from DAG, task, map index and data interval: a retry, a cleared task and a second manual run of a day are
    the same run, which goes on where it was or is found done. To score a day again under another name, give `run_id`.

    :param model: which model; `version` a number or an alias, resolved when the run is ordered
    :param input_uri: Parquet data set, e.g. `s3://lake/features/dt={{ data_interval_start | ds }}`
    :param output_uri: where the scores go; one run, one output
    :param where: filter over the input's columns
    :param columns: the input's columns by model input, when `model.yaml` does not say
    :param passthrough: columns that go to the output as they are
    :param max_rejects: share of the rows that may be rejected; more, and nothing is published
    :param skip_corrupt: go on without files that cannot be read
    :param overwrite: replace what another run published at `output_uri`
    :param run_id: instead of the derived one
    :param deferrable: wait in the triggerer instead of a worker's slot
    :param poll_interval: between two looks at the run; its end is told at once
    :param patience: how long the service may be away before the task fails
    """

    template_fields: Sequence[str] = (
        "model", "version", "input_uri", "output_uri", "where", "columns", "passthrough", "run_id", "forebay_conn_id",
    )  # fmt: skip
    operator_extra_links = (ForebayRunLink(),)
    overwrite_rtif_after_execution = True  # so that the derived run id is shown
    ui_color = "#d9eef2"

    def __init__(
        self,
        *,
        model: str,
        input_uri: str,
        output_uri: str,
        version: str | None = None,
        where: str | None = None,
        columns: Mapping[str, Sequence[str]] | None = None,
        passthrough: Sequence[str] | None = None,
        max_rejects: float | None = None,
        skip_corrupt: bool | None = None,
        overwrite: bool | None = None,
        run_id: str | None = None,
        forebay_conn_id: str = ForebayHook.default_conn_name,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=True),
        poll_interval: timedelta = timedelta(seconds=30),
        patience: timedelta = timedelta(minutes=10),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.model = model
        self.version = version
        self.input_uri = input_uri
        self.output_uri = output_uri
        self.where = where
        self.columns = columns
        self.passthrough = passthrough
        self.max_rejects = max_rejects
        self.skip_corrupt = skip_corrupt
        self.overwrite = overwrite
        self.run_id = run_id
        self.forebay_conn_id = forebay_conn_id
        self.deferrable = deferrable
        self.poll_interval = poll_interval
        self.patience = patience
        self.run_url = ""
        self._named = False
        if not self.outlets and (asset := asset_of(output_uri)):
            self.outlets = [asset]

    @cached_property
    def hook(self) -> ForebayHook:
        return ForebayHook(self.forebay_conn_id)

    def execute(self, context: Any) -> dict[str, Any]:
        run = self._submit(context)
        self.log.info("%s", run.line())
        if run.ended:
            return self._finish(context, run)
        if self.deferrable:
            self._defer(run)
        return self._finish(context, self._watched(run))

    def execute_complete(self, context: Any, event: dict[str, Any]) -> dict[str, Any]:
        """Called when the trigger fired, in another process than `execute` was."""
        self._name(context)
        return self._finish(context, seen_of(event))

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Any) -> Any:
        """After `execution_timeout` the run is not left behind."""
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except TaskDeferralTimeout:
            self._name(context)
            self.on_kill()
            raise

    def on_kill(self) -> None:
        """Called in the task's own process, which is watching or has just ordered the run."""
        if not (self._named and self.run_id):
            return
        try:
            run = self.hook.cancel(self.run_id)
        except ForebayError as met:
            self.log.warning("scoring run %s could not be canceled with its task: %s", self.run_id, met)
        else:
            self.log.info("scoring run %s was canceled with its task: %s", self.run_id, run.state if run else "unknown")

    def _name(self, context: Any) -> str:
        """Before anything is sent: from here on `on_kill` cancels it."""
        self.run_id = self.run_id or run_id_of(context)
        self.run_url = self.hook.address.link(self.run_id)
        self._named = True
        return self.run_id

    def _submit(self, context: Any) -> Run:
        try:
            run_id = self._name(context)
            self.hook.submit(self._order(run_id))
            return self.hook.look(run_id)
        except ForebayError as met:
            raise _failed(f"Forebay refused the order: {met}" if senseless(met) else str(met), senseless(met)) from None

    def _order(self, run_id: str) -> dict[str, Any]:
        order = {
            "run_id": run_id,
            "model": self.model,
            "version": self.version,
            "input": self.input_uri,
            "output": self.output_uri,
            "where": self.where,
            "columns": self.columns,
            "passthrough": self.passthrough,
            "max_rejects": self.max_rejects,
            "skip_corrupt": self.skip_corrupt,
            "overwrite": self.overwrite,
        }
        return {name: value for name, value in order.items() if value is not None}

    def _defer(self, run: Run) -> NoReturn:
        trigger = ForebayScoreTrigger(
            self.forebay_conn_id, run.run_id, self.poll_interval.total_seconds(), self.patience.total_seconds()
        )
        self.defer(trigger=trigger, method_name="execute_complete", timeout=self.execution_timeout)

    def _watched(self, run: Run) -> Run | Lost:
        pace = Pace(self.poll_interval.total_seconds(), self.patience.total_seconds())

        async def seen() -> Run | Lost:
            async with AsyncRuns(self.hook.address) as runs:
                return await watch(run.run_id, runs.look_once, pace, self.log.info)

        return asyncio.run(seen())

    def _finish(self, context: Any, seen: Run | Lost) -> dict[str, Any]:
        match seen:
            case Lost(why):
                raise AirflowException(why)
            case Run(state=State.SUCCEEDED):
                told = _told(seen, self.output_uri)
                announce(context, self.outlets, self.output_uri, told)
                return told | {"summary": dict(seen.summary)}
            case Run(state=State.CANCELED):
                raise AirflowFailException(f"scoring run {seen.run_id} was canceled; clear the task to go on with it")
            case _:
                why = seen.error.message if seen.error else f"it is {seen.state}"
                raise _failed(
                    f"scoring run {seen.run_id} failed: {why}", bool(seen.error and seen.error.reason in SENSELESS)
                )


def _told(run: Run, output: str) -> dict[str, Any]:
    done, summary = run.progress, run.summary
    return {
        "run_id": run.run_id,
        "output": output,
        "rows": summary.get("rows", done.rows),  # scored; the progress counts what was read
        "rejected": summary.get("rejected", done.rejected),
        "parts": summary.get("parts", done.parts),
        "attempts": run.attempts,
    }


def _failed(line: str, for_good: bool) -> AirflowException:
    return AirflowFailException(line) if for_good else AirflowException(line)
