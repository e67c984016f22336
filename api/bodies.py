"""The bodies that go in and out, and how bytes become them."""

from datetime import UTC, datetime

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from api.problems import ProblemBody
from schemas.jobs import JobView, Timings
from schemas.states import State


class Batch(Struct, frozen=True, forbid_unknown_fields=True):
    jobs: list[Raw]


class Links(Struct, frozen=True):
    self: str
    result: str
    cancel: str


class AcceptedBody(Struct, frozen=True):
    job_id: str
    status: State
    model: str
    version: str
    links: Links


class BatchBody(Struct, frozen=True):
    jobs: list[AcceptedBody | ProblemBody]


class Failure(Struct, frozen=True):
    reason: str
    message: str


class Times(Struct, frozen=True, omit_defaults=True):
    submitted_at: datetime
    started_at: datetime | UnsetType = UNSET
    finished_at: datetime | UnsetType = UNSET


class ResultBody(Struct, frozen=True, omit_defaults=True):
    job_id: str
    status: State
    model: str
    version: str
    attempt: int
    generation: int
    timings: Times
    result: Raw | UnsetType = UNSET
    error: Failure | UnsetType = UNSET
    metadata: Raw | UnsetType = UNSET
    links: Links | UnsetType = UNSET


encode = msgspec.json.Encoder().encode
decode_batch = msgspec.json.Decoder(Batch).decode


def links(id: str) -> Links:
    result = f"/result/{id}"
    return Links(result, result, f"{result}/cancel")


def result_body(view: JobView) -> ResultBody:
    ended_badly = view.state is State.FAILED
    return ResultBody(
        job_id=view.id,
        status=view.state,
        model=view.model,
        version=view.version,
        attempt=view.attempt,
        generation=view.generation,
        timings=times(view.timings),
        result=Raw(view.result) if view.result is not None else UNSET,
        error=Failure(str(view.reason or "unknown"), view.error or "") if ended_badly else UNSET,
        metadata=Raw(view.metadata) if view.metadata is not None else UNSET,
        links=links(view.id),
    )


def times(timings: Timings) -> Times:
    return Times(_time(timings.submitted_at), _maybe(timings.started_at), _maybe(timings.finished_at))


def _time(epoch: float) -> datetime:
    return datetime.fromtimestamp(epoch, UTC)


def _maybe(epoch: float | None) -> datetime | UnsetType:
    return UNSET if epoch is None else _time(epoch)
