"""Verdicts on their way to be recorded. They gather while a transaction runs, so that one commits many."""

import threading
from collections import deque
from collections.abc import Sequence

from msgspec import Struct

from pipelines.ports import Delivery
from schemas.verdicts import Done, Release, Verdict

MOST = 4096
MOST_BYTES = 16 << 20
"""Of results in one transaction: a statement with hundreds of megabytes would miss its time-out again and again."""


class Entry(Struct, frozen=True, gc=False):
    delivery: Delivery
    verdict: Verdict
    record: bool = True
    """False: the row was never ours (any more): only settle the message."""


class Outbox:
    """Thread-safe. Entries count as open until `done`, so that `quiet` means: everything was recorded and settled.

    Results too large for a row are set aside until they are where payloads are kept (`Depositor`).
    """

    def __init__(self, inline: int | None = None) -> None:
        """`inline`: bytes of a result that its row may hold; None: any."""
        self._inline = inline
        self._large: deque[Entry] = deque()
        self._depositing: dict[int, Entry] = {}
        """By identity."""
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
            if self._inline is not None and sizes and max(sizes) > self._inline:
                taken = self._set_aside(taken, self._inline)
            elif sum(sizes) <= MOST_BYTES:
                return taken
            fitting = _fitting(taken)
            self._entries.extendleft(reversed(taken[fitting:]))
            return taken[:fitting]

    def take_large(self, timeout: float) -> Entry | None:
        """A result that its row cannot hold, for `deposited` or `not_deposited`."""
        with self._changed:
            if not self._large:
                self._changed.wait(timeout)
            if not self._large:
                return None
            entry = self._large.popleft()
            self._depositing[id(entry)] = entry
            return entry

    def deposited(self, entry: Entry, ref: str) -> None:
        with self._changed:
            if self._depositing.pop(id(entry), None) is not None:
                self._entries.append(Entry(entry.delivery, Done(b"", ref), entry.record))
                self._changed.notify_all()

    def not_deposited(self, entry: Entry) -> None:
        """The next call of `take_large` has it again."""
        with self._changed:
            if self._depositing.pop(id(entry), None) is not None:
                self._large.appendleft(entry)

    def release_large(self) -> None:
        """A drain that is out of time: these jobs run again, uncharged, rather than wait for their leases to end."""
        with self._changed:
            left = [*self._depositing.values(), *self._large]
            self._depositing.clear()
            self._large.clear()
            self._entries.extend(Entry(entry.delivery, Release(), entry.record) for entry in left)
            self._changed.notify_all()

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

    def _set_aside(self, taken: Sequence[Entry], inline: int) -> list[Entry]:
        """The others."""
        small: list[Entry] = []
        for entry in taken:
            fits = type(entry.verdict) is not Done or len(entry.verdict.result) <= inline
            (small if fits else self._large).append(entry)
        self._changed.notify_all()
        return small


def _fitting(entries: Sequence[Entry]) -> int:
    """How many of the first fit into one transaction."""
    size = 0
    for count, entry in enumerate(entries):
        size += len(entry.verdict.result) if isinstance(entry.verdict, Done) else 0
        if count and size > MOST_BYTES:
            return count
    return len(entries)
