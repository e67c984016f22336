"""Group commit: submissions that arrive together become rows in one transaction."""

from collections.abc import Callable

from api.deps import Limits
from api.grouping import Group
from api.sending import Sender
from pipelines.store.notices import Notices
from pipelines.store.port import Store
from schemas.jobs import Accepted, Submission, SubmitOutcome

Scribe = Group[Submission, SubmitOutcome]
OnCommit = Callable[[int, float], None]
"""Told of every transaction: rows, seconds."""


def scribe(
    store: Store,
    notices: Notices,
    sender: Sender | None,
    limits: Limits,
    monotonic: Callable[[], float],
    on_commit: OnCommit,
) -> Scribe:
    def commit(submissions: list[Submission]) -> list[SubmitOutcome]:
        begun = monotonic()
        outcomes = store.submit(submissions)
        on_commit(len(submissions), monotonic() - begun)
        made = [s for s, o in zip(submissions, outcomes, strict=True) if isinstance(o, Accepted) and o.created]
        if made:
            notices.work()
        if made and sender is not None:
            sender.send(made)
        return outcomes

    return Group(
        "scribe",
        commit,
        backlog=limits.waiting,
        backlog_bytes=limits.waiting_bytes,
        answer_within=limits.answer_within,
    )
