"""Record, then settle: the one place where a delivery ends. A crash between the two repeats work, never effects."""

from collections.abc import Callable, Sequence

from pipelines.flow.credits import Credits
from pipelines.flow.held import Held
from pipelines.flow.observer import Observer
from pipelines.flow.outbox import Entry, Outbox
from pipelines.ports import Queue, Sink
from pipelines.store.notices import Notices
from pipelines.store.port import StoreAway
from schemas.jobs import Claim
from schemas.verdicts import Dead, Done, Verdict

_ENDING = (Done, Dead)


class Recorder:
    def __init__(
        self,
        sink: Sink,
        queue: Queue,
        outbox: Outbox,
        held: Held,
        credits: Credits,
        notices: Notices,
        observer: Observer,
    ) -> None:
        self._sink = sink
        self._queue = queue
        self._outbox = outbox
        self._held = held
        self._credits = credits
        self._notices = notices
        self._observer = observer
        self._pending: list[Entry] = []
        self.crash_point: Callable[[str], None] = lambda point: None
        """Called between the steps; the fault tests kill here."""

    def step(self) -> int:
        """Record and settle what is waiting; how many. Raises `StoreAway` with everything kept for the next step."""
        entries = self._pending or self._outbox.take()
        if not entries:
            return 0
        self._pending = entries  # until it is settled, a failure of any kind finds it here again
        verdicts: list[tuple[Claim, Verdict]] = [
            (entry.delivery.claim, entry.verdict)  # type: ignore[misc]  # only what was claimed is recorded
            for entry in entries
            if entry.record
        ]
        counted = self._record(verdicts)
        self.crash_point("recorded")
        self._queue.settle([(entry.delivery, entry.verdict) for entry in entries])
        self._pending = []
        self._finish(
            entries, [claim.id for claim, verdict in verdicts if isinstance(verdict, _ENDING)] if counted else []
        )
        return len(entries)

    def _record(self, verdicts: Sequence[tuple[Claim, Verdict]]) -> set[int]:
        if not verdicts:
            return set()
        try:
            counted = set(self._sink.record(verdicts))
        except StoreAway as away:
            self._observer.trouble(f"record: {away}")
            raise
        if len(counted) == len(verdicts):
            self._observer.recorded(verdicts, refused=0)
        else:
            ours = _counted(verdicts, counted)
            self._observer.recorded(ours, refused=len(verdicts) - len(ours))
        return counted

    def _finish(self, entries: Sequence[Entry], ended: Sequence[str]) -> None:
        claims = [entry.delivery.claim for entry in entries if entry.delivery.claim is not None]
        self._held.remove(claims)
        self._credits.give(len(entries), sum([claim.size for claim in claims]))
        if ended:
            self._notices.ended(ended)
        self._outbox.done(len(entries))


def _counted(verdicts: Sequence[tuple[Claim, Verdict]], counted: set[int]) -> list[tuple[Claim, Verdict]]:
    """Those that changed their row. A row lost and claimed again may be in there twice: only its newest fence can count."""
    newest: dict[int, int] = {}
    for claim, _ in verdicts:
        newest[claim.seq] = max(claim.fence, newest.get(claim.seq, 0))
    return [(c, v) for c, v in verdicts if c.seq in counted and c.fence == newest[c.seq]]
