"""Jobs and dead letters as records: what `--json` prints."""

from typing import Any

from forebay.cli.output import as_json, iso
from schemas.dead_letters import DeadLetter, Group
from schemas.jobs import JobView, Purged
from schemas.strays import Stray


def job(view: JobView) -> dict[str, Any]:
    record: dict[str, Any] = {
        "job_id": view.id,
        "status": view.state,
        "model": view.model,
        "version": view.version,
        "priority": view.priority,
        "attempt": view.attempt,
        "generation": view.generation,
        "submitted_at": iso(view.timings.submitted_at),
        "started_at": iso(view.timings.started_at),
        "finished_at": iso(view.timings.finished_at),
        "deadline_at": iso(view.deadline_at),
        "origin": view.origin,
    }
    if view.result is not None:
        record["result"] = as_json(view.result)
    if view.reason is not None:
        record["error"] = {"reason": view.reason, "message": view.error}
    if view.metadata is not None:
        record["metadata"] = as_json(view.metadata)
    return record


def job_or_not(id: str, seen: JobView | Purged | None) -> dict[str, Any]:
    if isinstance(seen, JobView):
        return job(seen)
    return {"job_id": id, "status": "unknown" if seen is None else "purged"}


def dead_letter(letter: DeadLetter) -> dict[str, Any]:
    return {
        "job_id": letter.id,
        "model": letter.model,
        "version": letter.version,
        "generation": letter.generation,
        "reason": letter.reason,
        "error": letter.error,
        "attempts": letter.attempts,
        "failed_at": iso(letter.failed_at),
        "submitted_at": iso(letter.submitted_at),
        "origin": letter.origin,
    }


def whole_dead_letter(letter: DeadLetter) -> dict[str, Any]:
    return dead_letter(letter) | {
        "tenant": letter.tenant,
        "inputs": as_json(letter.inputs) if letter.inputs or letter.inputs_ref is None else None,
        "inputs_ref": letter.inputs_ref,
        "metadata": as_json(letter.metadata),
        "history": [
            {"generation": a.generation, "attempt": a.attempt, "at": iso(a.at), "reason": a.reason, "error": a.error}
            for a in letter.history
        ],
        "replays": [
            {
                "generation": r.generation,
                "at": iso(r.at),
                "by": r.by,
                "version_before": r.version_before,
                "version": r.version,
                "inputs_before": as_json(r.inputs_before),
                "inputs_before_ref": r.inputs_before_ref,
            }
            for r in letter.replays
        ],
    }


def stray(found: Stray) -> dict[str, Any]:
    """Bytes in base64: they may be anything."""
    return {
        "source": found.source,
        "position": found.position,
        "seen_at": iso(found.seen_at),
        "error": found.error,
        "raw": found.raw,
        "key": found.key,
        "headers": found.headers,
    }


def group(found: Group) -> dict[str, Any]:
    return {
        "model": found.model,
        "version": found.version,
        "reason": found.reason,
        "error": found.error,
        "count": found.count,
        "first_at": iso(found.first_at),
        "last_at": iso(found.last_at),
        "example": found.example,
    }
