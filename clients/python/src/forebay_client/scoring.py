"""Scoring runs as the client sees them: what is asked for, and how it stands."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from forebay_client.errors import (
    InvalidRequest,
    ScoringRunCanceled,
    ScoringRunFailed,
    ScoringRunPending,
)
from forebay_client.results import TERMINAL, Failure, Timings, timings_of, unexpected


@dataclass(frozen=True)
class ScoringOptions:
    """What a request may say beside model, input and output; None leaves it to the server."""

    version: str | None = None
    where: str | None = None
    columns: Mapping[str, Sequence[str]] | None = None
    passthrough: Sequence[str] | None = None
    max_rejects: float | None = None
    skip_corrupt: bool | None = None
    overwrite: bool | None = None

    def body(self, run_id: str, model: str, input: str, output: str) -> bytes:
        """JSON. Raises InvalidRequest for what is none."""
        asked = {"run_id": run_id, "model": model, "input": input, "output": output, **vars(self)}
        if isinstance(self.passthrough, str):  # a sequence too, of its letters
            raise InvalidRequest("passthrough: expected a list of columns, got one string", field="passthrough")
        if self.passthrough is not None:
            asked["passthrough"] = list(self.passthrough)
        if self.columns is not None:
            asked["columns"] = {name: list(columns) for name, columns in self.columns.items()}
        try:
            return json.dumps(
                {name: value for name, value in asked.items() if value is not None}, allow_nan=False
            ).encode()
        except (TypeError, ValueError) as fault:
            raise InvalidRequest(f"the request can't be written as JSON: {fault}") from None


@dataclass(frozen=True)
class ScoringProgress:
    rows: int = 0
    rows_total: int | None = None
    """None until the run is planned."""
    parts: int = 0
    parts_total: int | None = None
    rejected: int = 0


@dataclass(frozen=True)
class ScoringSummary:
    rows: int
    """Scored."""
    rejected: int
    parts: int
    seconds: float
    """Of all attempts together, at work."""
    manifest: str
    """Below the output."""
    skipped: int = 0
    """Files that could not be read."""


@dataclass(frozen=True)
class ScoringRun:
    """How a run stands, at one look."""

    run_id: str
    status: str
    """queued, running, succeeded, failed or canceled."""
    model: str
    input: str
    output: str
    version: str | None = None
    """The number that the version or alias was resolved to; None as long as the run was not looked at."""
    progress: ScoringProgress = ScoringProgress()
    cancel_asked: bool = False
    """Running still, and asked to stop."""
    attempts: int = 0
    timings: Timings = field(default_factory=Timings)
    links: Mapping[str, str] = field(default_factory=dict, compare=False)
    error: Failure | None = None
    """Only when failed. `reason`: `bad_input`, `bad_order`, `input_changed`, `other_run`, `run_busy`, `lock_lost`,
    `too_many_rejects`, `storage_fault`, `score_fault`, `internal` or `crashed`."""
    summary: ScoringSummary | None = None
    """Only when succeeded."""

    @property
    def ok(self) -> bool:
        return self.status == "succeeded"

    @property
    def done(self) -> bool:
        """Whether it ended, well or not."""
        return self.status in TERMINAL

    def raise_for_status(self) -> "ScoringRun":
        """Itself when it succeeded; raises ScoringRunFailed, ScoringRunCanceled or ScoringRunPending."""
        if self.ok:
            return self
        if self.status == "failed":
            failure = self.error or Failure("unknown", "")
            detail = f"scoring run {self.run_id} failed: {failure.reason}: {failure.message}"
            raise ScoringRunFailed(detail, self, failure.reason)
        if self.status == "canceled":
            raise ScoringRunCanceled(f"scoring run {self.run_id} was canceled", self)
        raise ScoringRunPending(f"scoring run {self.run_id} is {self.status}", self)

    @classmethod
    def read(cls, body: Any) -> "ScoringRun":
        """From decoded JSON; fields of later servers are left out. Raises ForebayError when it is something else."""
        try:
            failure, summary = body.get("error"), body.get("summary")
            return cls(
                run_id=body["run_id"],
                status=body["status"],
                model=body["model"],
                input=body["input"],
                output=body["output"],
                version=body.get("version"),
                progress=ScoringProgress(**_known(ScoringProgress, body.get("progress") or {})),
                cancel_asked=bool(body.get("cancel_asked", False)),
                attempts=body.get("attempts", 0),
                timings=timings_of(body.get("timings") or {}),
                links=body.get("links") or {},
                error=None if failure is None else Failure(failure["reason"], failure["message"]),
                summary=None if summary is None else ScoringSummary(**_known(ScoringSummary, summary)),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as fault:
            raise unexpected("a scoring run", fault) from None


def _known(kind: type[Any], body: Mapping[str, Any]) -> dict[str, Any]:
    return {name: body[name] for name in (one.name for one in fields(kind)) if name in body}
