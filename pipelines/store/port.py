"""What the store does, whatever holds its rows: SQLite, PostgreSQL, or memory in tests.

Every method is one transaction with a constant number of statements, takes whole lists and is safe to call from any
thread. Times are the database's clock. A method that raises `StoreAway` may be called again: each is idempotent by
fence, generation, key or id.
"""

from collections.abc import Collection, Sequence
from typing import Protocol

from msgspec import Struct

from pipelines.ports import Message
from schemas.dead_letters import DeadLetter, DeadLetterFilter, Group, Replay
from schemas.jobs import Claim, JobFilter, JobView, Page, Purged, Submission, SubmitOutcome
from schemas.states import State
from schemas.strays import Stray
from schemas.verdicts import Verdict


class StoreAway(Exception):
    """The database cannot be reached, is full or is read-only. One line: what, where, what to do."""


class Refused(Struct, frozen=True):
    """A delivery whose row was not claimed: why, so that its message is settled or delayed."""

    id: str
    over: bool
    """True: the row is terminal, unknown or leased elsewhere: settle the message."""
    delay: float = 0.0
    """Not over: seconds until the row is due."""


class Swept(Struct, frozen=True):
    """What one round of sweeping did."""

    expired: list[str]
    purged: int
    forgotten: int
    """Tombstones removed."""
    refs: list[str] = []
    """Payloads of what was purged: they may be removed."""


class Discarded(Struct, frozen=True):
    ids: list[str]
    refs: list[str]
    """Their payloads: they may be removed."""


class Counts(Struct, frozen=True):
    """The backlog of one model version."""

    model: str
    version: str
    state: State
    count: int
    oldest_at: float
    """When the oldest of them was submitted."""


class Store(Protocol):
    # --- the submitting side -----------------------------------------------------------------------------------
    def submit(self, submissions: Sequence[Submission]) -> list[SubmitOutcome]:
        """Write these in one transaction, one outcome each, in order. Racing keys, also within the list, make one job (I2)."""
        ...

    def keyed(self, tenant: str, keys: Sequence[str]) -> set[str]:
        """Those of these idempotency keys that have their job."""
        ...

    def read(self, tenant: str | None, ids: Sequence[str]) -> dict[str, JobView | Purged]:
        """What there is of these ids of this tenant (None: of any); unknown ids are missing. With results."""
        ...

    def purged(self, tenant: str | None, ids: Sequence[str]) -> set[str]:
        """Those that have a tombstone. What another service put on the queue without an id is known by its content, too
        (`schemas.positions`)."""
        ...

    def list_jobs(self, tenant: str | None, wanted: JobFilter, limit: int, cursor: str | None = None) -> Page:
        """Newest first, without results. `ValueError` on a malformed cursor."""
        ...

    def cancel(self, tenant: str | None, ids: Sequence[str]) -> dict[str, JobView | Purged]:
        """Cancel what is queued or running; the state that each ended in (a finished job stays as it is)."""
        ...

    def counts(self, open_only: bool = False) -> list[Counts]:
        """Rows by model, version and state: of all rows, which takes seconds where there are millions, or of those that
        are queued or running."""
        ...

    def backlog(self, most: int) -> int:
        """How many rows are queued or running, counted up to `most`: cheap however many rows there are."""
        ...

    # --- the working side --------------------------------------------------------------------------------------
    def claim_next(self, models: Sequence[str], most: int, lease: float, most_bytes: int = 1 << 62) -> list[Claim]:
        """Claim up to `most` due rows of these models: by priority, then by due time, models taking turns. The input sizes
        sum up to at most `most_bytes`, but one row is always claimed."""
        ...

    def claim(
        self, messages: Sequence[Message], models: Sequence[str], lease: float
    ) -> tuple[list[Claim], list[Refused]]:
        """Claim the rows that these messages name."""
        ...

    def start(self, claims: Sequence[Claim]) -> list[int]:
        """Count the start, before the model runs. Returns the `seq` of those that may run: not canceled, not expired,
        fence still held."""
        ...

    def extend(self, claims: Sequence[Claim], lease: float) -> list[int]:
        """Heartbeat. Returns the `seq` of those still held. May revive a lapsed lease."""
        ...

    def record(self, verdicts: Sequence[tuple[Claim, Verdict]]) -> list[int]:
        """Write every verdict (the `Sink` of the jobs lane). Returns the `seq` of those that counted."""
        ...

    # --- sweeping ----------------------------------------------------------------------------------------------
    def to_send(self, most: int, hold: float, resend_after: float) -> list[Message]:
        """Rows whose message is missing, by the rules of sweeping; each is held for `hold` seconds."""
        ...

    def adopt(self) -> int:
        """Rows that were queued while the store was the queue, or by a process that knows of no broker, count as not sent
        from now on; how many they were. Nothing where the store is the queue."""
        ...

    def unsend(self, models: Sequence[str]) -> int:
        """The broker lost what it had of these models: their rows that are queued count as not sent from now on; how many
        they were. Nothing where the store is the queue."""
        ...

    def stamp_sent(self, messages: Sequence[Message]) -> None:
        """The broker confirmed these. A row that was claimed since its message was chosen (its fence is another) is left as
        it is: what it may wait for by now is its next message."""
        ...

    def unhold(self, messages: Sequence[Message]) -> None:
        """The broker did not confirm these: they may be chosen again at once, rather than when their hold ends."""
        ...

    def sweep(self, retention: float, tombstones: float) -> Swept | None:
        """Expire and purge. None when another process sweeps right now (database lease)."""
        ...

    def pause(self, model: str, paused: bool) -> None:
        """Pause or resume a model; resume empties `sent_at` of its rows, so that they are sent again."""
        ...

    def paused(self) -> set[str]: ...

    # --- dead letters ------------------------------------------------------------------------------------------
    def dead_letters(self, tenant: str | None, wanted: DeadLetterFilter, limit: int, cursor: str | None = None) -> Page:
        """Newest failure first; `ValueError` on a malformed cursor."""
        ...

    def dead_letter(self, tenant: str | None, id: str) -> DeadLetter | None:
        """One, with its attempts and its lineage."""
        ...

    def dead_letter_groups(self, tenant: str | None, wanted: DeadLetterFilter, limit: int) -> list[Group]:
        """The largest groups first."""
        ...

    def replay(self, tenant: str | None, replays: Sequence[Replay]) -> list[str]:
        """Put these back to `queued` with generation + 1, audited. Returns the ids that were replayed; one whose generation
        is not the failed one any more, or that is not failed, is missing (I7)."""
        ...

    def discard(self, tenant: str | None, ids: Collection[str]) -> Discarded:
        """Purge these dead letters now; a tombstone stays."""
        ...

    # --- strays ------------------------------------------------------------------------------------------------
    def keep_strays(self, strays: Sequence[Stray]) -> None:
        """Messages that name no job, as they came; each once by source and position. Swept with the retention."""
        ...

    def count_strays(self, most: int) -> int:
        """At most so many."""
        ...

    def strays(self, limit: int) -> list[Stray]:
        """The newest first."""
        ...

    # --- payloads ----------------------------------------------------------------------------------------------
    def unnamed(self, refs: Sequence[str]) -> list[str]:
        """Those that no row names, nor may come to name: a result whose job is still open may."""
        ...

    def identity(self) -> str:
        """Of this store, random and for good: it keeps payloads and keys in Redis of two stores apart."""
        ...

    def take_lease(self, name: str, lease: float) -> bool:
        """Whether this process holds the named lease now; asking again extends it."""
        ...

    # --- the rest ----------------------------------------------------------------------------------------------
    def now(self) -> float:
        """The database's clock, epoch seconds. Raises `StoreAway`: also the readiness probe."""
        ...
