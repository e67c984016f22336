"""The lock of a prefix: one object, written by conditional puts only, and beaten by a thread for as long as it is held."""

import threading

import msgspec
from msgspec import Struct

from pipelines.clock import Clock
from pipelines.scoring.faults import LockLost, StorageFault
from pipelines.scoring.storage.naming import FOLDER
from pipelines.scoring.storage.s3.objects import Objects, Seen

LOCK = f"{FOLDER}/lock.json"


class Times(Struct, frozen=True):
    """Seconds."""

    beat: float = 5.0
    lease: float = 20.0
    """From a beat on: a holder without another one has lost the lock, and others may take it."""
    look: float = 1.0
    """Between two looks at somebody else's lock."""


TIMES = Times()


class Holder(Struct, frozen=True):
    """What the object says."""

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


def read(seen: Seen, where: str) -> Holder:
    """Raises StorageFault."""
    try:
        return msgspec.json.decode(seen.data, type=Holder)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise StorageFault(
            f"output {where}: {LOCK} is no lock of this version of Forebay: see that nobody is at it, then delete it"
        ) from None


class ObjectLock:
    """See `pipelines.scoring.storage.port.Held`."""

    def __init__(self, objects: Objects, holder: Holder, etag: str, since: float, times: Times, clock: Clock) -> None:
        """`objects`: calls of theirs end well within a lease. `since`: when the put that took it began, by the clock."""
        self.fence = holder.fence
        self._objects = objects
        self._holder = holder
        self._etag = etag
        self._alive = since
        self._times = times
        self._clock = clock
        self._lost = ""
        self._fault = "none was sent"
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="forebay-output-lock", daemon=True)

    def start(self) -> "ObjectLock":
        self._thread.start()
        return self

    def check(self) -> None:
        if not self._lost and self._clock.monotonic() - self._alive >= self._times.lease:
            self._lost = f"no heartbeat of the lock succeeded for {self._times.lease:g} s ({self._fault})"
        if self._lost:
            raise LockLost(f"output {self._objects.at}: {self._lost}: start the same command again")

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
            self._objects.put_if(LOCK, msgspec.json.encode(self._next(holder="")), self._etag)
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
        etag = self._objects.put_if(LOCK, msgspec.json.encode(self._holder), self._etag)
        if etag is not None:
            self._etag, self._alive = etag, began
        return etag is not None

    def _next(self, holder: str) -> Holder:
        return msgspec.structs.replace(self._holder, beat=self._holder.beat + 1, holder=holder)

    def _still_ours(self) -> bool:
        seen = self._objects.get(LOCK)
        if seen is None:
            self._lost = f"{LOCK} was removed"
            return False
        now = read(seen, str(self._objects.at))
        if now.token == self._holder.token:
            self._etag = seen.etag
            return True
        self._lost = f"{now.holder or 'somebody'} took the lock over, with run {now.run_id}, since {now.since}"
        return False
