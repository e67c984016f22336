"""The store in memory: the same statements on plain objects, for seeded fault runs and for measuring the path alone.

Not durable, one process only. It passes the same contract suite as the databases.
"""

import threading
from collections.abc import Callable, Collection, Sequence
from itertools import count, islice

from msgspec import Struct
from msgspec.structs import replace

from pipelines.payloads.keys import row_of
from pipelines.ports import Message
from pipelines.store.cursors import decode_cursor, encode_cursor
from pipelines.store.guards import UNSTAMPED
from pipelines.store.port import Counts, Discarded, Refused, Swept
from pipelines.store.recording import change
from schemas.dead_letters import Attempt, DeadLetter, DeadLetterFilter, Group, Replay, Replayed
from schemas.jobs import (
    Accepted,
    Claim,
    IdConflict,
    JobFilter,
    JobView,
    KeyConflict,
    Page,
    Purged,
    RefConflict,
    Submission,
    SubmitOutcome,
    Timings,
)
from schemas.positions import ids_of_gone
from schemas.reasons import Reason
from schemas.states import OPEN, State
from schemas.strays import Stray
from schemas.verdicts import Done, Verdict

_QUEUED, _RUNNING, _SUCCEEDED = State.QUEUED, State.RUNNING, State.SUCCEEDED


class Row(Struct):
    seq: int
    given: Submission
    state: State
    version: str
    inputs: bytes
    visible_at: float
    submitted_at: float
    queued_at: float
    deadline_at: float | None
    sent_at: float | None
    inputs_ref: str | None
    size: int
    held_until: float = 0.0
    sends: int = 0
    generation: int = 0
    fence: int = 0
    answered: int = 0
    started_fence: int = 0
    starts: int = 0
    failures: int = 0
    started_at: float | None = None
    finished_at: float | None = None
    result: bytes | None = None
    result_ref: str | None = None
    reason: Reason | None = None
    error: str | None = None
    history: list[Attempt] = []
    replays: list[Replayed] = []


class MemoryStore:
    def __init__(self, now: Callable[[], float], broker: bool = False) -> None:
        self._now = now
        self._broker = broker
        self._lock = threading.RLock()
        self._seq = count(1)
        self.rows: dict[int, Row] = {}
        self._ids: dict[str, list[Row]] = {}
        self._keys: dict[tuple[str, str], Row] = {}
        self._tombstones: dict[tuple[str, str], float] = {}
        self._paused: set[str] = set()
        self._strays: dict[tuple[str, str], Stray] = {}

    # --- the submitting side ---

    def submit(self, submissions: Sequence[Submission]) -> list[SubmitOutcome]:
        with self._lock:
            return [self._submit_one(submission) for submission in submissions]

    def keyed(self, tenant: str, keys: Sequence[str]) -> set[str]:
        with self._lock:
            return {key for key in keys if (tenant, key) in self._keys}

    def read(self, tenant: str | None, ids: Sequence[str]) -> dict[str, JobView | Purged]:
        with self._lock:
            found: dict[str, JobView | Purged] = {row.given.id: _view(row) for row in self._named(tenant, ids)}
            for buried, id in self._tombstones:
                if id in ids and id not in found and tenant in (None, buried):
                    found[id] = Purged(id=id)
            return found

    def purged(self, tenant: str | None, ids: Sequence[str]) -> set[str]:
        wanted = set(ids)
        with self._lock:
            return {id for buried, id in self._tombstones if id in wanted and tenant in (None, buried)}

    def list_jobs(self, tenant: str | None, wanted: JobFilter, limit: int, cursor: str | None = None) -> Page:
        before = decode_cursor(cursor, int)[0] if cursor is not None else None
        with self._lock:
            chosen = [
                row
                for seq, row in sorted(self.rows.items(), reverse=True)
                if (before is None or seq < before) and _wanted(row, tenant, wanted)
            ]
        more = encode_cursor(chosen[limit - 1].seq) if len(chosen) > limit else None
        return Page(items=[_view(row, with_result=False) for row in chosen[:limit]], cursor=more)

    def cancel(self, tenant: str | None, ids: Sequence[str]) -> dict[str, JobView | Purged]:
        with self._lock:
            for row in self._named(tenant, ids):
                if row.state in OPEN:
                    row.state, row.finished_at = State.CANCELED, self._now()
            return self.read(tenant, ids)

    def counts(self, open_only: bool = False) -> list[Counts]:
        groups: dict[tuple[str, str, State], list[Row]] = {}
        with self._lock:
            for row in self.rows.values():
                if open_only and row.state not in OPEN:
                    continue
                groups.setdefault((row.given.model, row.version, row.state), []).append(row)
            return [Counts(*key, len(rows), min(row.submitted_at for row in rows)) for key, rows in groups.items()]

    def backlog(self, most: int) -> int:
        with self._lock:
            return min(most, sum(row.state in OPEN for row in self.rows.values()))

    # --- the working side ---

    def claim_next(self, models: Sequence[str], most: int, lease: float, most_bytes: int = 1 << 62) -> list[Claim]:
        with self._lock:
            now = self._now()
            turns = {model: turn for turn, model in enumerate(models) if model not in self._paused}
            due = [row for row in self.rows.values() if row.given.model in turns and _claimable(row, now)]
            due.sort(key=lambda row: (-row.given.priority, turns[row.given.model], row.visible_at, row.seq))
            chosen: list[Row] = []
            total = 0
            for row in islice(due, most):
                total += row.size
                if chosen and total > most_bytes:
                    break
                chosen.append(row)
            return sorted(
                (self._take(row, now, lease) for row in chosen), key=lambda claim: (-claim.priority, claim.seq)
            )

    def claim(
        self, messages: Sequence[Message], models: Sequence[str], lease: float
    ) -> tuple[list[Claim], list[Refused]]:
        now = self._now()
        ids = dict.fromkeys([message.id for message in messages])
        with self._lock:
            served = set(models) - self._paused
            rows = [row for id in ids for row in self._ids.get(id, ()) if row.given.model in served]
            claims = [self._take(row, now, lease) for row in rows if _claimable(row, now)]
            taken = {claim.id for claim in claims}
            return claims, [self._refused(id, served, now) for id in ids if id not in taken]

    def start(self, claims: Sequence[Claim]) -> list[int]:
        now = self._now()
        started: list[int] = []
        with self._lock:
            for claim in claims:
                row = self.rows.get(claim.seq)
                if row is None or row.fence != claim.fence or row.state is not _RUNNING:
                    continue
                if row.started_fence != claim.fence and row.deadline_at is not None and row.deadline_at <= now:
                    continue
                row.starts, row.started_fence, row.started_at = claim.starts + 1, claim.fence, now
                started.append(claim.seq)
        return started

    def extend(self, claims: Sequence[Claim], lease: float) -> list[int]:
        until = self._now() + lease
        kept: list[int] = []
        with self._lock:
            for claim in claims:
                row = self._mine(claim)
                if row is not None:
                    row.visible_at = until
                    kept.append(claim.seq)
        return kept

    def record(self, verdicts: Sequence[tuple[Claim, Verdict]]) -> list[int]:
        now = self._now()
        with self._lock:
            return [claim.seq for claim, verdict in verdicts if self._record_one(claim, verdict, now)]

    # --- sweeping ---

    def to_send(self, most: int, hold: float, resend_after: float) -> list[Message]:
        now = self._now()
        with self._lock:
            claimed = [row for row in self.rows.values() if row.fence > 0]
            newest = max((row.sent_at or row.queued_at for row in claimed), default=0.0)
            last = max((row.started_at or 0.0 for row in claimed), default=0.0)
            due = [row for row in self.rows.values() if self._wants_sending(row, now, resend_after, newest, last)]
            due.sort(key=lambda row: row.visible_at)
            for row in due[:most]:
                row.held_until = now + hold
            return [_message(row) for row in due[:most]]

    def adopt(self) -> int:
        with self._lock:
            found = [
                row for row in self.rows.values()
                if self._broker and row.state is State.QUEUED and not row.sends and row.sent_at is not None
            ]  # fmt: skip
            for row in found:
                row.sent_at = None
            return len(found)

    def unsend(self, models: Sequence[str]) -> int:
        with self._lock:
            found = [
                row for row in self.rows.values()
                if self._broker and row.given.model in models and row.state is State.QUEUED and row.sent_at is not None
            ]  # fmt: skip
            for row in found:
                row.sent_at = None
            return len(found)

    def stamp_sent(self, messages: Sequence[Message]) -> None:
        now = self._now()
        with self._lock:
            for message in messages:
                for row in self._ids.get(message.id, ()):
                    same = (row.generation, row.fence) == (message.generation, message.fence)
                    if same and row.state in OPEN and row.held_until != UNSTAMPED:
                        row.sent_at, row.sends, row.held_until = now, row.sends + 1, 0.0

    def unhold(self, messages: Sequence[Message]) -> None:
        with self._lock:
            for message in messages:
                for row in self._ids.get(message.id, ()):
                    if row.generation == message.generation and row.state in OPEN:
                        row.held_until = 0.0

    def sweep(self, retention: float, tombstones: float) -> Swept | None:
        now = self._now()
        with self._lock:
            expired = [row for row in self.rows.values() if _expires(row, now)]
            for row in expired:
                row.state, row.finished_at = State.EXPIRED, now
            old = [r for r in self.rows.values() if r.finished_at is not None and r.finished_at <= now - retention]
            refs = [ref for row in old for ref in self._bury(row)]
            gone = [key for key, at in self._tombstones.items() if at <= now - tombstones]
            for key in gone:
                del self._tombstones[key]
            self._strays = {at: stray for at, stray in self._strays.items() if stray.seen_at > now - retention}
            return Swept(expired=[row.given.id for row in expired], purged=len(old), forgotten=len(gone), refs=refs)

    def pause(self, model: str, paused: bool) -> None:
        with self._lock:
            (self._paused.add if paused else self._paused.discard)(model)
            for row in self.rows.values():
                if not paused and row.given.model == model and row.state is State.QUEUED:
                    row.sent_at, row.held_until = None, UNSTAMPED

    def paused(self) -> set[str]:
        return set(self._paused)

    # --- dead letters ---

    def dead_letters(self, tenant: str | None, wanted: DeadLetterFilter, limit: int, cursor: str | None = None) -> Page:
        before = decode_cursor(cursor, float, int) if cursor is not None else None
        rows = [row for row in self._failed(tenant, wanted) if before is None or _failed_at(row) < before]
        more = encode_cursor(*_failed_at(rows[limit - 1])) if len(rows) > limit else None
        return Page(items=[_letter(row) for row in rows[:limit]], cursor=more)

    def dead_letter(self, tenant: str | None, id: str) -> DeadLetter | None:
        rows = self._failed(tenant, DeadLetterFilter(ids=(id,)))
        return _letter(rows[0], past=True) if rows else None

    def dead_letter_groups(self, tenant: str | None, wanted: DeadLetterFilter, limit: int) -> list[Group]:
        groups: dict[tuple[str, str, Reason, str], list[Row]] = {}
        for row in self._failed(tenant, wanted):
            assert row.reason is not None
            groups.setdefault((row.given.model, row.version, row.reason, row.error or ""), []).append(row)
        made = [
            Group(*key, len(rows), _failed_at(rows[-1])[0], _failed_at(rows[0])[0], max(row.given.id for row in rows))
            for key, rows in groups.items()
        ]
        return sorted(made, key=lambda group: (-group.count, -group.last_at))[:limit]

    def replay(self, tenant: str | None, replays: Sequence[Replay]) -> list[str]:
        with self._lock:
            return [row.given.id for replay in replays for row in self._replay_one(tenant, replay)]

    def discard(self, tenant: str | None, ids: Collection[str]) -> Discarded:
        with self._lock:
            rows = [row for row in self._named(tenant, ids) if row.state is State.FAILED]
            refs = [ref for row in rows for ref in self._bury(row)]
            return Discarded([row.given.id for row in rows], refs)

    # --- strays ---

    def keep_strays(self, strays: Sequence[Stray]) -> None:
        with self._lock:
            for stray in strays:
                self._strays.setdefault((stray.source, stray.position), replace(stray, seen_at=self._now()))

    def count_strays(self, most: int) -> int:
        return min(most, len(self._strays))

    def strays(self, limit: int) -> list[Stray]:
        with self._lock:
            kept = sorted(self._strays.values(), key=lambda stray: (stray.seen_at, stray.source, stray.position))
            return kept[::-1][:limit]

    # --- payloads ---

    def unnamed(self, refs: Sequence[str]) -> list[str]:
        with self._lock:
            named = {row.inputs_ref for row in self.rows.values()}
            named |= {each.inputs_before_ref for row in self.rows.values() for each in row.replays}
            return [ref for ref in refs if ref not in named and not self._may_name(ref)]

    def _may_name(self, ref: str) -> bool:
        row = self.rows.get(row_of(ref) or 0)
        return row is not None and (row.result_ref == ref or row.state in OPEN)

    def identity(self) -> str:
        return "memory"

    def take_lease(self, name: str, lease: float) -> bool:
        """One process only: it is ours."""
        return True

    def now(self) -> float:
        return self._now()

    # --- one row ---

    def _submit_one(self, given: Submission) -> SubmitOutcome:
        row = self._keys.get((given.tenant, given.idempotency_key)) if given.idempotency_key is not None else None
        by_key = row is not None
        if row is None:
            row = next(iter(self._named(given.tenant, [given.id])), None)
        if row is not None:
            if row.given.digest != given.digest:
                return KeyConflict(row.given.id) if by_key else IdConflict(row.given.id)
            return Accepted(row.given.id, row.state, row.given.model, row.version, created=False)
        if given.inputs_ref is not None:
            for other in self.rows.values():
                if other.inputs_ref == given.inputs_ref:
                    return RefConflict(other.given.id)
        now = self._now()
        deadline = None if given.expires_in is None else now + given.expires_in
        row = Row(
            next(self._seq), given, State.QUEUED, given.version, given.inputs, visible_at=now, submitted_at=now,
            queued_at=now, deadline_at=deadline, sent_at=None if self._broker else now,
            inputs_ref=given.inputs_ref, size=given.size,
        )  # fmt: skip
        self.rows[row.seq] = row
        self._ids.setdefault(given.id, []).append(row)
        if given.idempotency_key is not None:
            self._keys[given.tenant, given.idempotency_key] = row
        return Accepted(given.id, State.QUEUED, given.model, given.version, created=True)

    def _named(self, tenant: str | None, ids: Collection[str]) -> list[Row]:
        return [row for id in ids for row in self._ids.get(id, ()) if tenant is None or row.given.tenant == tenant]

    def _refused(self, id: str, served: Collection[str], now: float) -> Refused:
        rows = [row for row in self._ids.get(id, ()) if row.given.model in served]
        waiting = [row.visible_at - now for row in rows if row.state is State.QUEUED]
        return Refused(id, over=not waiting, delay=max(0.0, min(waiting, default=0.0)))

    def _take(self, row: Row, now: float, lease: float) -> Claim:
        row.state, row.visible_at, row.sends = _RUNNING, now + lease, 0
        row.fence += 1
        given = row.given
        return Claim(
            row.seq, given.id, given.tenant, given.model, row.version, row.inputs, row.generation, row.fence, row.starts,
            row.failures, row.fence - 1 - row.answered, given.priority,
            None if row.deadline_at is None else row.deadline_at - now, now - row.queued_at, given.traceparent,
            row.inputs_ref, row.size,
        )  # fmt: skip

    def _mine(self, claim: Claim) -> Row | None:
        row = self.rows.get(claim.seq)
        return row if row is not None and row.fence == claim.fence and row.state is _RUNNING else None

    def _record_one(self, claim: Claim, verdict: Verdict, now: float) -> bool:
        row = self._mine(claim)
        if row is None:
            return False
        if type(verdict) is Done:  # what `change` says of the most frequent verdict, written out for speed
            row.state, row.result, row.starts, row.answered = _SUCCEEDED, verdict.result, 0, claim.fence
            if verdict.ref is not None:
                row.result, row.result_ref = None, verdict.ref
            row.finished_at = now
            return True
        made = change(claim, verdict)
        row.state, row.result, row.starts = made.state, made.result, made.starts
        row.answered = claim.fence if made.judged else row.answered + 1
        row.failures += made.charged
        if made.reason is not None:
            at = row.failures
            row.history = [*row.history, Attempt(row.generation, at, now, Reason(made.reason), made.error or "")]
            if made.state is State.FAILED:
                row.reason, row.error = Reason(made.reason), made.error
        if made.state is _QUEUED:
            row.visible_at, row.held_until = now + made.delay, 0.0
            row.sent_at = None if self._broker else row.sent_at
        else:
            row.finished_at = now
        return True

    def _wants_sending(self, row: Row, now: float, resend_after: float, newest: float, last: float) -> bool:
        if row.held_until > now or row.given.model in self._paused or row.visible_at > now or row.state not in OPEN:
            return False
        if row.sent_at is None or (row.state is State.RUNNING and row.sent_at <= row.visible_at):
            return True
        patience = resend_after * 2 ** min(row.sends - 1, 19)
        return row.sends > 0 and row.sent_at <= now - patience and (row.sent_at < newest or last <= now - resend_after)

    def _replay_one(self, tenant: str | None, replay: Replay) -> list[Row]:
        now = self._now()
        rows = [
            row
            for row in self._named(tenant, [replay.id])
            if row.state is State.FAILED
            and row.generation == replay.generation
            and replay.tenant in (None, row.given.tenant)
        ]
        for row in rows:
            version = replay.version or row.version
            patched = b"" if replay.inputs_ref is not None else replay.inputs
            before, before_ref = (None, None) if patched is None else (row.inputs or None, row.inputs_ref)
            row.replays = [
                *row.replays, Replayed(row.generation + 1, now, replay.by, row.version, version, before, before_ref)
            ]  # fmt: skip
            row.state, row.generation, row.version = State.QUEUED, row.generation + 1, version
            row.given = replace(row.given, model=replay.model or row.given.model)
            if patched is not None:
                row.inputs, row.inputs_ref, row.size = patched, replay.inputs_ref, replay.referred or len(patched)
            row.starts = row.failures = row.sends = 0
            row.answered, row.visible_at, row.queued_at, row.held_until = row.fence, now, now, 0.0
            row.sent_at = None
            row.deadline_at = row.started_at = row.finished_at = row.reason = row.error = row.result = None
        return rows

    def _bury(self, row: Row) -> list[str]:
        """Its payloads."""
        del self.rows[row.seq]
        self._ids[row.given.id].remove(row)
        if row.given.idempotency_key is not None:
            del self._keys[row.given.tenant, row.given.idempotency_key]
        for id in ids_of_gone(row.given.id, row.given.origin, row.given.digest):
            self._tombstones[row.given.tenant, id] = self._now()
        refs = (row.inputs_ref, row.result_ref, *(each.inputs_before_ref for each in row.replays))
        return [ref for ref in refs if ref is not None]

    def _failed(self, tenant: str | None, wanted: DeadLetterFilter) -> list[Row]:
        with self._lock:
            rows = [row for row in self.rows.values() if row.state is State.FAILED and _matches(row, tenant, wanted)]
        return sorted(rows, key=_failed_at, reverse=True)


def _claimable(row: Row, now: float) -> bool:
    # By identity: hashing a member of an Enum, as `in OPEN` does, is a call of Python's.
    is_open = row.state is _QUEUED or row.state is _RUNNING
    return is_open and row.visible_at <= now and (row.deadline_at is None or row.deadline_at > now)


def _expires(row: Row, now: float) -> bool:
    if row.deadline_at is None or row.deadline_at > now or row.state not in OPEN:
        return False
    return row.state is State.QUEUED or row.started_fence != row.fence or row.visible_at <= now


def _failed_at(row: Row) -> tuple[float, int]:
    return (row.finished_at or 0.0, row.seq)


def _wanted(row: Row, tenant: str | None, wanted: JobFilter) -> bool:
    return (
        tenant in (None, row.given.tenant)
        and wanted.state in (None, row.state)
        and wanted.model in (None, row.given.model)
        and wanted.version in (None, row.version)
        and (wanted.since is None or row.submitted_at >= wanted.since)
        and (wanted.until is None or row.submitted_at < wanted.until)
    )


def _matches(row: Row, tenant: str | None, wanted: DeadLetterFilter) -> bool:
    at = row.finished_at or 0.0
    return (
        tenant in (None, row.given.tenant)
        and wanted.model in (None, row.given.model)
        and wanted.version in (None, row.version)
        and wanted.reason in (None, row.reason)
        and (wanted.error is None or wanted.error in (row.error or ""))
        and (wanted.since is None or at >= wanted.since)
        and (wanted.until is None or at < wanted.until)
        and (not wanted.ids or row.given.id in wanted.ids)
    )


def _view(row: Row, with_result: bool = True) -> JobView:
    given = row.given
    return JobView(
        id=given.id, tenant=given.tenant, state=row.state, model=given.model, version=row.version,
        priority=given.priority, generation=row.generation, failures=row.failures,
        timings=Timings(row.submitted_at, row.started_at, row.finished_at), deadline_at=row.deadline_at,
        result=row.result if with_result else None, result_ref=row.result_ref, reason=row.reason, error=row.error,
        metadata=given.metadata, origin=given.origin,
    )  # fmt: skip


def _message(row: Row) -> Message:
    given = row.given
    return Message(given.id, row.generation, row.inputs or None, given.model, given.traceparent, fence=row.fence)


def _letter(row: Row, past: bool = False) -> DeadLetter:
    assert row.reason is not None
    assert row.finished_at is not None
    given = row.given
    return DeadLetter(
        id=given.id, tenant=given.tenant, model=given.model, version=row.version, generation=row.generation,
        reason=row.reason, error=row.error or "", attempts=row.failures, failed_at=row.finished_at,
        submitted_at=row.submitted_at, origin=given.origin, inputs=row.inputs, metadata=given.metadata,
        history=tuple(row.history) if past else (), replays=tuple(row.replays) if past else (),
        inputs_ref=row.inputs_ref, size=row.size,
    )  # fmt: skip
