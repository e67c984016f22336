"""The bodies of scoring runs."""

from msgspec import UNSET, Struct, UnsetType

from api.bodies import Failure, Times, times
from schemas.scoring_runs import Progress, RunReason, RunSummary, RunView
from schemas.states import State

PATH = "/scoring_runs"


class RunLinks(Struct, frozen=True):
    self: str
    cancel: str


class RunAcceptedBody(Struct, frozen=True):
    run_id: str
    status: State
    links: RunLinks


class RunBody(Struct, frozen=True, omit_defaults=True):
    run_id: str
    status: State
    model: str
    version: str
    """A number."""
    input: str
    output: str
    progress: Progress
    cancel_asked: bool
    """Running still, and asked to stop."""
    attempts: int
    timings: Times
    links: RunLinks
    error: Failure | UnsetType = UNSET
    """Only when failed. `reason` is one of RunReason."""
    summary: RunSummary | UnsetType = UNSET
    """Only when succeeded."""


class RunsBody(Struct, frozen=True):
    runs: list[RunBody]
    cursor: str | None


RUN_KINDS = (RunAcceptedBody, RunBody, RunsBody)


def links(run_id: str) -> RunLinks:
    path = f"{PATH}/{run_id}"
    return RunLinks(path, f"{path}/cancel")


def run_body(view: RunView) -> RunBody:
    failed = view.state is State.FAILED
    return RunBody(
        run_id=view.run_id,
        status=view.state,
        model=view.request.model,
        version=view.version,
        input=view.request.input,
        output=view.request.output,
        progress=view.progress,
        cancel_asked=view.cancel_asked,
        attempts=view.attempts,
        timings=times(view.timings),
        links=links(view.run_id),
        error=Failure(view.reason or RunReason.INTERNAL, view.error or "") if failed else UNSET,
        summary=UNSET if view.summary is None else view.summary,
    )
