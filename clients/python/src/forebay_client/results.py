"""Jobs as the client sees them: as accepted, and as they stand."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from forebay_client.errors import ForebayError, JobCanceled, JobExpired, JobFailed, JobPending

TERMINAL = frozenset({"succeeded", "failed", "canceled", "expired"})


@dataclass(frozen=True)
class Timings:
    submitted_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None


@dataclass(frozen=True)
class Failure:
    reason: str
    """E.g. `model_error`: what operators filter dead letters by."""
    message: str


@dataclass(frozen=True)
class Result:
    """How a job stands, at one look."""

    job_id: str
    status: str
    """queued, running, succeeded, failed, canceled or expired."""
    model: str
    version: str
    attempt: int
    generation: int
    timings: Timings = Timings()
    result: dict[str, Any] | None = None
    """Outputs by name; only when succeeded."""
    error: Failure | None = None
    """Only when failed."""
    metadata: dict[str, Any] | None = None

    @property
    def ok(self) -> bool:
        return self.status == "succeeded"

    @property
    def done(self) -> bool:
        """Whether it ended, well or not."""
        return self.status in TERMINAL

    @property
    def value(self) -> dict[str, Any]:
        """The outputs by name, or the error that says why there are none."""
        self.raise_for_status()
        return self.result or {}

    def raise_for_status(self) -> "Result":
        """Itself when it succeeded; raises JobFailed, JobCanceled, JobExpired or JobPending."""
        if self.ok:
            return self
        if self.status == "failed":
            failure = self.error or Failure("unknown", "")
            raise JobFailed(f"job {self.job_id} failed: {failure.reason}: {failure.message}", self, failure.reason)
        if self.status == "canceled":
            raise JobCanceled(f"job {self.job_id} was canceled", self)
        if self.status == "expired":
            raise JobExpired(f"job {self.job_id} expired before it was started", self)
        raise JobPending(f"job {self.job_id} is {self.status}", self)

    @classmethod
    def read(cls, body: Any) -> "Result":
        """From decoded JSON. Raises ForebayError when it is something else."""
        try:
            failure = body.get("error")
            return cls(
                job_id=body["job_id"], status=body["status"], model=body["model"], version=body["version"],
                attempt=body["attempt"], generation=body["generation"], timings=timings_of(body.get("timings") or {}),
                result=body.get("result"), metadata=body.get("metadata"),
                error=None if failure is None else Failure(failure["reason"], failure["message"]),
            )  # fmt: skip
        except (AttributeError, KeyError, TypeError, ValueError) as fault:
            raise unexpected("a job", fault) from None


@dataclass(frozen=True)
class Job:
    """A submission that was accepted: its row is committed."""

    id: str
    status: str
    model: str
    version: str
    """The number that the version or alias was resolved to."""
    links: Mapping[str, str] = field(default_factory=dict, compare=False)
    result: Result | None = field(default=None, compare=False)
    """Set when the job ended while `submit(…, wait=…)` waited."""

    @classmethod
    def read(cls, body: Any, ended: bool = False) -> "Job":
        """From decoded JSON. Raises ForebayError when it is something else."""
        try:
            return cls(
                body["job_id"], body["status"], body["model"], body["version"], body.get("links") or {},
                Result.read(body) if ended else None,
            )  # fmt: skip
        except (AttributeError, KeyError, TypeError) as fault:
            raise unexpected("a job", fault) from None


def timings_of(body: Mapping[str, str]) -> Timings:
    return Timings(*(_time(body.get(name)) for name in ("submitted_at", "started_at", "finished_at")))


def _time(text: str | None) -> datetime | None:
    # Python 3.10 does not read the Z of RFC 3339.
    return None if text is None else datetime.fromisoformat(text.replace("Z", "+00:00"))


def unexpected(what: str, fault: Exception) -> ForebayError:
    return ForebayError(f"expected {what} in the answer, got something else ({fault!r}): is this a Forebay server?")
