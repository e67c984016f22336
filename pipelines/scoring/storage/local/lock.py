"""The lock of a folder: flock, which the kernel frees when its holder dies."""

import fcntl
import os
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec
from msgspec import Struct

from pipelines.scoring.faults import LockLost, RunBusy
from pipelines.scoring.storage.local.files import told
from pipelines.scoring.storage.local.places import Places

_MOST = 64 << 10
"""Bytes of a lock file that are looked at."""


class Holder(Struct, frozen=True):
    """What the lock file says of who holds it, or held it last."""

    holder: str = "somebody"
    run_id: str = "?"
    fence: int = 0
    since: str = "?"
    """UTC, ISO 8601."""


class FileLock:
    """See `pipelines.scoring.storage.port.Held`."""

    def __init__(self, places: Places, opened: int, fence: int) -> None:
        self.fence = fence
        self._places = places
        self._opened: int | None = opened

    def check(self) -> None:
        if self._opened is None or not _is_at(self._opened, self._places):
            raise LockLost(
                f"output {self._places.out}: its lock file was removed or replaced: somebody else may be at it"
            )

    def release(self) -> None:
        if self._opened is not None:
            os.close(self._opened)
            self._opened = None


def take(places: Places, run_id: str, holder: str, now: Callable[[], float], least: int) -> FileLock:
    """`now`: epoch seconds. `least`: the fence is above it. Raises RunBusy, StorageFault."""
    with told(places.lock):
        opened = _locked(places)
        try:
            fence = max(_read(opened).fence, least) + 1
            since = datetime.fromtimestamp(now(), UTC).isoformat(timespec="seconds")
            _write(opened, Holder(holder, run_id, fence, since))
        except BaseException:
            os.close(opened)
            raise
    return FileLock(places, opened, fence)


def _locked(places: Places) -> int:
    while True:
        # Others may read it, so that they can say who is at it.
        opened = os.open(places.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(opened, places):  # else it was removed in between, and locks nobody out
                return opened
        except BlockingIOError:
            by = _read(opened)
            os.close(opened)
            told = f"output {places.out}: {by.holder} is at it since {by.since}, with run {by.run_id}"
            raise RunBusy(f"{told}: wait until it ends, or stop it") from None
        except BaseException:
            os.close(opened)
            raise
        os.close(opened)


def _is_at(opened: int, places: Places) -> bool:
    try:
        return os.path.samestat(os.fstat(opened), os.stat(places.lock))
    except OSError:
        return False


def _read(opened: int) -> Holder:
    """Of the first line: what follows it is left of a longer one."""
    try:
        return msgspec.json.decode(os.pread(opened, _MOST, 0).partition(b"\n")[0], type=Holder)
    except msgspec.DecodeError:
        return Holder()


def _write(opened: int, holder: Holder) -> None:
    line = msgspec.json.encode(holder) + b"\n"
    os.pwrite(opened, line, 0)
    os.ftruncate(opened, len(line))
    os.fsync(opened)
