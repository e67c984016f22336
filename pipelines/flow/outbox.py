"""Verdicts on their way to be recorded. They gather while a transaction runs, so that one commits many."""

import threading
from collections import deque
from collections.abc import Sequence

from msgspec import Struct

from pipelines.ports import Delivery
from schemas.verdicts import Done, Verdict

MOST = 4096
MOST_BYTES = 16 << 20
"""Of results in one transaction: a statement with hundreds of megabytes would miss its time-out again and again."""


class Entry(Struct, frozen=True, gc=False):
    delivery: Delivery
    verdict: Verdict
    record: bool = True
    """False: the row was never ours (any more): only settle the message."""


class Outbox:
    """Thread-safe. Entries count as open until `done`, so that `quiet` means: everything was recorded and settled."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque()
        self._open = 0
        self._changed = threading.Condition()

    def put(self, entries: Sequence[Entry]) -> None:
        if not entries:
            return
        with self._changed:
            self._entries.extend(entries)
            self._open += len(entries)
            self._changed.notify_all()

    def take(self) -> list[Entry]:
        """The oldest, as many as fit into one transaction, but at least one."""
        with self._changed:
            taken = [self._entries.popleft() for _ in range(min(MOST, len(self._entries)))]
            sizes = [len(entry.verdict.result) for entry in taken if type(entry.verdict) is Done]
            if sum(sizes) <= MOST_BYTES:
                return taken
            fitting = _fitting(taken)
            self._entries.extendleft(reversed(taken[fitting:]))
            return taken[:fitting]

    def done(self, count: int) -> None:
        with self._changed:
            self._open -= count
            self._changed.notify_all()

    def quiet(self) -> bool:
        return self._open == 0

    def wait(self, timeout: float) -> None:
        """Until there may be something to take."""
        with self._changed:
            if not self._entries:
                self._changed.wait(timeout)

    def wait_quiet(self, timeout: float) -> bool:
        with self._changed:
            return self._changed.wait_for(self.quiet, timeout)

    def wake(self) -> None:
        with self._changed:
            self._changed.notify_all()


def _fitting(entries: Sequence[Entry]) -> int:
    """How many of the first fit into one transaction."""
    size = 0
    for count, entry in enumerate(entries):
        size += len(entry.verdict.result) if isinstance(entry.verdict, Done) else 0
        if count and size > MOST_BYTES:
            return count
    return len(entries)
