"""What can go wrong, by what the caller can do about it."""

from typing import TYPE_CHECKING

from forebay_client.problems import FieldFault, Problem

if TYPE_CHECKING:
    from forebay_client.results import Result
    from forebay_client.scoring import ScoringRun


class ForebayError(Exception):
    """All of this package's errors. Its text is one line."""

    def __init__(self, detail: str, problem: Problem | None = None) -> None:
        super().__init__(detail)
        self.problem = problem
        """The server's own words; None when it never answered."""

    @property
    def status(self) -> int | None:
        """Of the HTTP answer."""
        return self.problem.status if self.problem else None


class Passing(ForebayError):
    """Trying again later may help; the client already did, as often as its `retries` allow."""

    def __init__(self, detail: str, problem: Problem | None = None, retry_after: float | None = None) -> None:
        super().__init__(detail, problem)
        self.retry_after = retry_after
        """Seconds, when the server named a time."""
        self.idempotency_key: str | None = None
        """Of the single submission that met it, made by the client or not: submit again with it, and it is one job."""


class Unavailable(Passing):
    """No answer, or 502, 503, 504. Whether a submission was accepted is unknown: submit again with the same idempotency key."""


class Overloaded(Passing):
    """429: too much is waiting."""


class InvalidRequest(ForebayError):
    """The request can never succeed as it is (400, 413, 415, 422), or its inputs are not JSON and it was not sent."""

    def __init__(self, detail: str, problem: Problem | None = None, field: str | None = None) -> None:
        super().__init__(detail, problem)
        self.field = field or (problem.field if problem else None)
        """The first field at fault, e.g. `inputs.pixels`."""

    @property
    def errors(self) -> tuple[FieldFault, ...]:
        return self.problem.errors if self.problem else ()


class IdempotencyConflict(ForebayError):
    """422: the idempotency key belongs to a job, or the run id to a scoring run, with another body."""


class Unauthorized(ForebayError):
    """401: a valid key is needed."""


class Forbidden(ForebayError):
    """403: the key, or what the operator set up, does not allow this."""


class NotFound(ForebayError):
    """404: no such job, scoring run, model or version."""


class NotPublished(ForebayError):
    """There is no output of a scoring run at this address: no run of it succeeded yet."""


class Gone(ForebayError):
    """410: the job ended and was purged at the end of its retention."""


class ServerError(ForebayError):
    """Any other answer that is no success."""


class JobError(ForebayError):
    """The job has no outputs: `result` tells how it stands."""

    def __init__(self, detail: str, result: "Result") -> None:
        super().__init__(detail)
        self.result = result


class JobFailed(JobError):
    """The job is in the dead letters."""

    def __init__(self, detail: str, result: "Result", reason: str) -> None:
        super().__init__(detail, result)
        self.reason = reason
        """E.g. `model_error`, `invalid_input`, `crashed`."""


class JobCanceled(JobError):
    """The job was canceled."""


class JobExpired(JobError):
    """The job was not started within its `expires_in`."""


class JobPending(JobError):
    """The job has not ended yet."""


class JobTimeout(JobPending):
    """The job did not end within the time given to wait for it. It goes on: wait again, or cancel it."""


class ScoringRunError(ForebayError):
    """The scoring run published nothing, or not yet: `run` tells how it stands."""

    def __init__(self, detail: str, run: "ScoringRun") -> None:
        super().__init__(detail)
        self.run = run


class ScoringRunFailed(ScoringRunError):
    """Nothing was published; what is done is kept, and the same submission goes on from there."""

    def __init__(self, detail: str, run: "ScoringRun", reason: str) -> None:
        super().__init__(detail, run)
        self.reason = reason
        """E.g. `bad_input`, `storage_fault`, `crashed`: see `ScoringRun.error`."""


class ScoringRunCanceled(ScoringRunError):
    """The scoring run was canceled."""


class ScoringRunPending(ScoringRunError):
    """The scoring run has not ended yet."""


class ScoringRunTimeout(ScoringRunPending):
    """The scoring run did not end within the time given to wait for it. It goes on: wait again, or cancel it."""


_BY_STATUS: dict[int, type[ForebayError]] = {
    400: InvalidRequest, 401: Unauthorized, 403: Forbidden, 404: NotFound, 410: Gone, 413: InvalidRequest,
    415: InvalidRequest, 422: InvalidRequest,
}  # fmt: skip


def error_of(problem: Problem, retry_after: float | None = None) -> ForebayError:
    """The exception for a problem."""
    if problem.status == 429:
        return Overloaded(problem.detail, problem, retry_after)
    if problem.status in {502, 503, 504}:
        return Unavailable(problem.detail, problem, retry_after)
    if problem.kind in {"key-conflict", "run-conflict"}:
        return IdempotencyConflict(problem.detail, problem)
    return _BY_STATUS.get(problem.status, ServerError)(problem.detail, problem)
