"""What the scoring lane needs of a storage. A local folder and S3 do it by different means, and one suite tests both.

Nothing of an unfinished run is seen by readers of the output, whether they go by the manifest or list the folder.
"""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

from schemas.scoring import Manifest, StoredFile

Failpoint: TypeAlias = Callable[[str], None]
"""Called with the name of every step that a process may be killed at: tests do so."""


def nothing(step: str) -> None:
    """No failpoint."""


class Held(Protocol):
    """The output's lock, held by this attempt until it is released or lost. Kept alive by a thread of its own where the
    storage needs that."""

    fence: int
    """Rises with every holder."""

    def check(self) -> None:
        """Raises LockLost. Called before every record, and before publishing."""
        ...

    def release(self) -> None:
        """Nothing the second time, or when it is lost."""
        ...


class Records(Protocol):
    """Small files of the unfinished run: its plan, and what became of each part."""

    def get(self, name: str) -> bytes | None: ...

    def put(self, name: str, data: bytes) -> None:
        """Whole and durable when this returns, or not there. Names hold letters, digits, `-`, `.` and `/`."""
        ...

    def drop(self, name: str) -> None:
        """Nothing when it is not there."""
        ...


class PartFile(Protocol):
    """A file that is being written: pyarrow takes it as an output stream."""

    def write(self, data: bytes) -> int: ...

    def finish(self, rows: int) -> StoredFile:
        """Whole and durable, and seen by nobody yet."""
        ...

    def discard(self) -> None:
        """Nothing of it is left. Nothing after `finish`."""
        ...


class Parts(Protocol):
    """May be used by processes that do not hold the lock: what they write counts only once the holder recorded it."""

    def begin(self, path: str) -> PartFile:
        """`path`: below the output."""
        ...

    def holds(self, file: StoredFile) -> bool:
        """Whether it is still there to be published, as it was written."""
        ...


class Storage(Protocol):
    """One output. Everything raises StorageFault when the storage fails, one line with the path."""

    name: str
    """For messages."""

    def lock(self, run_id: str, holder: str, tell: Callable[[str], None]) -> Held:
        """`holder`: who we are, for the message the other one gets. Raises RunBusy. `tell`: while it waits for a dead
        holder's time to run out."""
        ...

    def run(self, run_id: str) -> tuple[Records, Parts]: ...

    def current(self, run_id: str | None = None) -> Manifest | None:
        """What is published. Where several runs share an output (rows that are upserted): what this run published, without
        one the last. `run_id`: of who is about to publish there, and is told of whatever keeps it from that. Raises OtherRun
        when there is something that is not ours, SharedOutput where that may stay beside it."""
        ...

    def publish(
        self, held: Held, manifest: Manifest, files: Sequence[StoredFile], kept: Sequence[str], overwrite: bool
    ) -> None:
        """Makes these files, and those of the output that are `kept` (paths), the output, and removes the rest, `_SUCCESS`
        last. Raises OtherRun when something is published meanwhile that was not there before, unless `overwrite`.
        Killed at any moment, and called again with the same, it ends the same."""
        ...

    def forget(self, run_id: str) -> None:
        """Removes what is left of an unfinished or published run beside the output."""
        ...

    def close(self) -> None:
        """Its connections. Nothing after it."""
        ...
