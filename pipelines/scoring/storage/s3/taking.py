"""How the lock of a prefix is taken: made, found free, or taken over from a holder who no longer beats."""

from collections.abc import Callable
from datetime import UTC, datetime

import msgspec
from botocore.exceptions import ClientError
from msgspec import Struct

from pipelines.clock import Clock
from pipelines.s3 import errors
from pipelines.scoring.faults import RunBusy, StorageFault
from pipelines.scoring.storage.s3.lock import LOCK, Holder, ObjectLock, Times, read
from pipelines.scoring.storage.s3.objects import GUIDE, Objects, Seen

_ROUNDED = 1.0
"""HTTP's dates are whole seconds, so that a difference of two may be one too many."""
_NO_ETAG = '"00000000000000000000000000000000"'


class Taking(Struct, frozen=True):
    objects: Objects
    beating: Objects
    """The same, by calls that end within a lease."""
    times: Times
    clock: Clock
    now: Callable[[], float]
    """Epoch seconds."""
    wait: Callable[[float], None]
    token: Callable[[], str]

    def take(self, run_id: str, holder: str, tell: Callable[[str], None], least: int) -> ObjectLock:
        """`least`: the fence is above it. Raises RunBusy, StorageFault."""
        while True:
            free = self._await_free(tell)
            fence = max(least, 0 if free is None else self._read(free).fence) + 1
            since = datetime.fromtimestamp(self.now(), UTC).isoformat(timespec="seconds")
            mine = Holder(holder or "somebody", run_id, fence, 0, since, self.times.lease, self.token())
            began = self.clock.monotonic()
            etag = self.objects.put_if(LOCK, msgspec.json.encode(mine), None if free is None else free.etag)
            if etag is not None:
                self._sure_of_conditions(mine)
                return ObjectLock(self.beating, mine, etag, began, self.times, self.clock).start()
            first = self.objects.get(LOCK)
            if first is not None and self._read(first).holder:
                raise self._busy(first)  # who was faster just now is alive

    def _await_free(self, tell: Callable[[str], None]) -> Seen | None:
        """Whoever holds it is alive when it beats while we look; otherwise its lease ends."""
        first = seen = self.objects.get(LOCK)
        began = self.clock.monotonic()
        while seen is not None and self._read(seen).holder:
            if first is None or seen.etag != first.etag:
                raise self._busy(seen)
            if self._has_ended(seen, self.clock.monotonic() - began):
                break
            if seen is first:
                by = self._read(seen)
                tell(
                    f"output {self.objects.at}: {by.holder} held it, with run {by.run_id}: waiting for a heartbeat,"
                    f" or for its {by.lease:g} s to end"
                )
            self.wait(self.times.look)
            seen = self.objects.get(LOCK)
        return seen

    def _has_ended(self, seen: Seen, watched: float) -> bool:
        """`watched`: for how long it has not changed, by our clock. It counts too, for a server without a clock."""
        lease = self._read(seen).lease
        return watched >= lease or (seen.age is not None and seen.age >= lease + _ROUNDED)

    def _busy(self, seen: Seen) -> RunBusy:
        by = self._read(seen)
        return RunBusy(
            f"output {self.objects.at}: {by.holder} is at it since {by.since}, with run {by.run_id}:"
            " wait until it ends, or stop it"
        )

    def _read(self, seen: Seen) -> Holder:
        return read(seen, str(self.objects.at))

    def _sure_of_conditions(self, mine: Holder) -> None:
        """A server that ignores them lets two runs publish at once: it is found out before anything is written."""
        data = msgspec.json.encode(mine)
        with self.objects.told():
            for condition in ({"IfNoneMatch": "*"}, {"IfMatch": _NO_ETAG}):
                if not self._refuses(data, condition):
                    self.objects.remove([LOCK])
                    raise StorageFault(
                        f"output {self.objects.at}: it ignores {next(iter(condition))} on puts, which keeps two runs"
                        f" apart: use another storage, see {GUIDE}"
                    )

    def _refuses(self, data: bytes, condition: dict[str, str]) -> bool:
        try:
            self.objects.client.put_object(**self.objects.key(LOCK), Body=data, **condition)  # type: ignore[arg-type]
        except ClientError as fault:
            if errors.is_refused(fault) or errors.is_conflict(fault):
                return True
            raise
        return False
