"""Which rows a listing shows, of jobs and of scoring runs alike."""

from typing import Any

from pipelines.store.cursors import decode_cursor
from schemas.jobs import JobFilter


def selection(tenant: str | None, wanted: JobFilter, cursor: str | None) -> tuple[str, dict[str, Any]]:
    """The condition over the table `j`, and its values. `ValueError` on a malformed cursor."""
    given: dict[str, tuple[str, Any]] = {
        "tenant": ("j.tenant = :tenant", tenant),
        "state": ("j.state = :state", None if wanted.state is None else str(wanted.state)),
        "model": ("j.model = :model", wanted.model),
        "version": ("j.version = :version", wanted.version),
        "since": ("j.submitted_at >= :since", wanted.since),
        "until": ("j.submitted_at < :until", wanted.until),
        "before": ("j.seq < :before", None if cursor is None else decode_cursor(cursor, int)[0]),
    }
    chosen = {name: pair for name, pair in given.items() if pair[1] is not None}
    return (
        " AND ".join(condition for condition, _ in chosen.values()) or "1 = 1",
        {name: value for name, (_, value) in chosen.items()},
    )
