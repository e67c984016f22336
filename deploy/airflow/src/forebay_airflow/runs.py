"""A scoring run as the service tells it, and what is ordered of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from forebay_client import ServerError


class State(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"


PENDING = frozenset({State.QUEUED, State.RUNNING})

SENSELESS = frozenset({"bad_order", "input_changed", "other_run", "too_many_rejects"})
"""Reasons of a failure that the same order meets again, however often it is tried. `bad_input` is not among them: the files
of a partition that is late are there at the next try."""


@dataclass(frozen=True)
class Progress:
    rows: int = 0
    rows_total: int = 0
    parts: int = 0
    parts_total: int = 0
    rejected: int = 0


@dataclass(frozen=True)
class Failure:
    reason: str
    message: str
    """One line."""

    @classmethod
    def read(cls, said: Any) -> "Failure":
        if isinstance(said, Mapping):
            return cls(
                str(said.get("reason", "")), _one_line(said.get("message") or said.get("detail") or "no reason given")
            )
        return cls("", _one_line(said or "no reason given"))


@dataclass(frozen=True)
class Run:
    run_id: str
    state: State
    progress: Progress = Progress()
    error: Failure | None = None
    attempts: int = 0
    summary: Mapping[str, Any] = field(default_factory=dict)
    body: Mapping[str, Any] = field(default_factory=dict)
    """As it was answered: what an event of the trigger carries."""

    @property
    def ended(self) -> bool:
        return self.state not in PENDING

    @classmethod
    def read(cls, body: Any) -> "Run":
        """From decoded JSON. Fields that are unknown here are let through; ServerError when it is no run."""
        try:
            failed = body.get("error")
            return cls(
                run_id=str(body["run_id"]),
                state=State(body["status"]),
                progress=_progress(body.get("progress") or {}),
                error=Failure.read(failed) if failed else None,
                attempts=int(body.get("attempts") or 0),
                summary=dict(body.get("summary") or {}),
                body=body,
            )
        except (AttributeError, KeyError, TypeError, ValueError) as wrong:
            raise ServerError(f"the server's answer is no scoring run ({wrong}): is this Forebay?") from None

    def line(self) -> str:
        """For a log."""
        done = self.progress
        return (
            f"scoring run {self.run_id} is {self.state}: {done.rows:,} of {done.rows_total:,} rows, "
            f"{done.parts} of {done.parts_total} parts, {done.rejected:,} rejected"
        )


def _progress(told: Mapping[str, Any]) -> Progress:
    return Progress(**{name: int(told.get(name) or 0) for name in Progress.__dataclass_fields__})


def _one_line(said: Any) -> str:
    return " ".join(str(said).split())
