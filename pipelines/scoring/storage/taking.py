"""How a lock is taken: made, found free, or taken over from a holder who no longer beats."""

from collections.abc import Callable
from datetime import UTC, datetime

from msgspec import Struct

from pipelines.clock import Clock
from pipelines.scoring.faults import RunBusy
from pipelines.scoring.storage.lock import Cell, CellLock, Holder, Seen, Times

_ROUNDED = 1.0
"""A storage's clock may tell whole seconds only, so that a difference of two may be one too many."""


class Taking(Struct, frozen=True):
    cell: Cell
    beating: Cell
    """The same, by calls that end within a lease."""
    times: Times
    clock: Clock
    now: Callable[[], float]
    """Epoch seconds."""
    wait: Callable[[float], None]
    token: Callable[[], str]
    taken: Callable[[Holder], None] = lambda mine: None
    """Called with the lock in hand, before it is used. Raises StorageFault."""

    def take(self, run_id: str, holder: str, tell: Callable[[str], None], least: int) -> CellLock:
        """`least`: the fence is above it. Raises RunBusy, StorageFault."""
        while True:
            free = self._await_free(tell)
            fence = max(least, 0 if free is None else free.holder.fence) + 1
            since = datetime.fromtimestamp(self.now(), UTC).isoformat(timespec="seconds")
            mine = Holder(holder or "somebody", run_id, fence, 0, since, self.times.lease, self.token())
            began = self.clock.monotonic()
            tag = self.cell.write(mine, None if free is None else free.tag)
            if tag is not None:
                self.taken(mine)
                return CellLock(self.beating, mine, tag, began, self.times, self.clock).start()
            first = self.cell.read()
            if first is not None and first.holder.holder:
                raise self._busy(first)  # who was faster just now is alive

    def _await_free(self, tell: Callable[[str], None]) -> Seen | None:
        """Whoever holds it is alive when it beats while we look; otherwise its lease ends."""
        first = seen = self.cell.read()
        began = self.clock.monotonic()
        while seen is not None and seen.holder.holder:
            if first is None or seen.tag != first.tag:
                raise self._busy(seen)
            if self._has_ended(seen, self.clock.monotonic() - began):
                break
            if seen is first:
                by = seen.holder
                tell(
                    f"{self.cell.at}: {by.holder} held it, with run {by.run_id}: waiting for a heartbeat,"
                    f" or for its {by.lease:g} s to end"
                )
            self.wait(self.times.look)
            seen = self.cell.read()
        return seen

    def _has_ended(self, seen: Seen, watched: float) -> bool:
        """`watched`: for how long it has not changed, by our clock. It counts too, for a server without a clock."""
        lease = seen.holder.lease
        return seen.gone or watched >= lease or (seen.age is not None and seen.age >= lease + _ROUNDED)

    def _busy(self, seen: Seen) -> RunBusy:
        by = seen.holder
        return RunBusy(
            f"{self.cell.at}: {by.holder} is at it since {by.since}, with run {by.run_id}: wait until it ends, or stop it"
        )
