"""A lock that is one cell of a storage, written by compare-and-swap only, and beaten by a thread for as long as it is held."""

import threading
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from pipelines.clock import Clock
from pipelines.scoring.faults import LockLost, StorageFault


class Times(Struct, frozen=True):
    """Seconds."""

    beat: float = 5.0
    lease: float = 20.0
    """From a beat on: a holder without another one has lost the lock, and others may take it."""
    look: float = 1.0
    """Between two looks at somebody else's lock."""


TIMES = Times()


class Holder(Struct, frozen=True):
    """What the cell says."""

    holder: str
    """Empty: nobody, it was released."""
    run_id: str
    fence: int
    beat: int
    since: str
    """UTC, ISO 8601."""
    lease: float
    token: str
    """Random: of one holder and no other."""


class Seen(Struct, frozen=True):
    holder: Holder
    tag: str
    """Another one after every write."""
    age: float | None
    """Seconds since it was written, by the storage's own clock; None: it does not say."""
    gone: bool = False
    """The storage knows that who wrote it is there no more."""


class Cell(Protocol):
    """Everything raises StorageFault."""

    at: str
    """For messages: `output s3://…`."""
    name: str
    """What people find it as."""

    def read(self) -> Seen | None:
        """None: it is not there."""
        ...

    def write(self, holder: Holder, tag: str | None) -> str | None:
        """Only over what has this tag; None: only where there is nothing. The new tag, or None when it was refused."""
        ...


class CellLock:
    """See `pipelines.scoring.storage.port.Held`."""

    def __init__(self, cell: Cell, holder: Holder, tag: str, since: float, times: Times, clock: Clock) -> None:
        """`cell`: calls of it end well within a lease. `since`: when the write that took it began, by the clock."""
        self.fence = holder.fence
        self.token = holder.token
        self._cell = cell
        self._holder = holder
        self._tag = tag
        self._alive = since
        self._times = times
        self._clock = clock
        self._lost = ""
        self._fault = "none was sent"
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="forebay-output-lock", daemon=True)

    def start(self) -> "CellLock":
        self._thread.start()
        return self

    def check(self) -> None:
        if not self._lost and self._clock.monotonic() - self._alive >= self._times.lease:
            self._lost = f"no heartbeat of the lock succeeded for {self._times.lease:g} s ({self._fault})"
        if self._lost:
            raise LockLost(f"{self._cell.at}: {self._lost}: start the same command again")

    def beat(self) -> None:
        """Once. What fails is tried again with the next one, until the lease is over."""
        try:
            # Once more when an earlier beat came through and only its answer was lost.
            if not self._beaten() and not (self._still_ours() and self._beaten()):
                self._lost = self._lost or "somebody else took the lock"
        except StorageFault as fault:
            self._fault = str(fault)

    def release(self) -> None:
        if self._ended.is_set():
            return
        self._ended.set()
        self._thread.join()
        if self._lost:
            return
        try:
            self._cell.write(self._next(holder=""), self._tag)
        except StorageFault:
            return  # it ends by itself
        finally:
            self._lost = "the lock was released"

    def _run(self) -> None:
        while not self._lost and not self._ended.wait(self._times.beat):
            self.beat()

    def _beaten(self) -> bool:
        # Every beat has a number of its own: what is found there later is never mistaken for a newer one.
        self._holder = self._next(self._holder.holder)
        began = self._clock.monotonic()
        tag = self._cell.write(self._holder, self._tag)
        if tag is not None:
            self._tag, self._alive = tag, began
        return tag is not None

    def _next(self, holder: str) -> Holder:
        return replace(self._holder, beat=self._holder.beat + 1, holder=holder)

    def _still_ours(self) -> bool:
        seen = self._cell.read()
        if seen is None:
            self._lost = f"{self._cell.name} was removed"
            return False
        now = seen.holder
        if now.token == self._holder.token:
            self._tag = seen.tag
            return True
        self._lost = f"{now.holder or 'somebody'} took the lock over, with run {now.run_id}, since {now.since}"
        return False
