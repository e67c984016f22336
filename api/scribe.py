"""Group commit: submissions that arrive together become rows in one transaction."""

from api.commits import Commits
from api.deps import Limits
from api.grouping import Group
from api.sending import Sender
from pipelines.store.notices import Notices
from pipelines.store.port import Store
from schemas.jobs import Accepted, Submission, SubmitOutcome

Scribe = Group[Submission, SubmitOutcome]


def scribe(
    store: Store,
    notices: Notices,
    sender: Sender | None,
    limits: Limits,
    commits: Commits,
) -> Scribe:
    def commit(submissions: list[Submission]) -> list[SubmitOutcome]:
        with commits.of(len(submissions)):
            outcomes = store.submit(submissions)
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
