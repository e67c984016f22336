"""The part of the store that the API uses, in memory, and a small model."""

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from pipelines.catalog import Catalog, ModelVersion, ServedModel
from pipelines.ports import Message
from pipelines.store.port import Counts, StoreAway
from schemas.jobs import (
    Accepted,
    JobFilter,
    JobView,
    KeyConflict,
    Page,
    Purged,
    Submission,
    SubmitOutcome,
    Timings,
)
from schemas.model_spec import ModelSpec, TensorSpec
from schemas.reasons import Reason
from schemas.states import OPEN, State

SPEC = ModelSpec(
    name="sum",
    inputs=(TensorSpec(name="x", dtype="float32", shape=(3,)),),
    outputs=(TensorSpec(name="y", dtype="float32"),),
    aliases={"production": 1},
    example={"x": [1.0, 2.0, 3.0]},
)


def _version(number: str) -> ModelVersion:
    return ModelVersion("sum", number, Path("sum") / number, SPEC, "onnx", {}, {})


CATALOG = Catalog(Path(), {"sum": ServedModel(SPEC, {number: _version(number) for number in ("1", "2")})}, [])


class FakeStore:
    """`hold` stops every call while it is cleared; `away` makes every call raise."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], JobView] = {}
        self.submitted: dict[str, Submission] = {}
        self.by_key: dict[tuple[str, str], str] = {}
        self.purged: set[tuple[str, str]] = set()
        self.groups: list[int] = []
        self.reads: list[int] = []
        self.stamped: list[str] = []
        self.left: list[str] = []
        self.refuse_stamps = False
        self.backlogs = 0
        self.away = False
        self.hold = threading.Event()
        self.hold.set()
        self.entered = threading.Semaphore(0)
        self.bomb: str | None = None
        self._lock = threading.Lock()

    def _enter(self) -> None:
        self.entered.release()
        self.hold.wait(30)
        if self.away:
            raise StoreAway("store fake: refused: start it")

    def submit(self, submissions: Sequence[Submission]) -> list[SubmitOutcome]:
        self._enter()
        with self._lock:
            self.groups.append(len(submissions))
            if any(s.metadata is not None and self.bomb and self.bomb.encode() in s.metadata for s in submissions):
                raise RuntimeError("a row that breaks the statement")
            return [self._one(s) for s in submissions]

    def _one(self, s: Submission) -> SubmitOutcome:
        key = (s.tenant, s.idempotency_key or "")
        if s.idempotency_key and key in self.by_key:
            old = self.by_key[key]
            if self.submitted[old].digest != s.digest:
                return KeyConflict(old)
            view = self.rows[s.tenant, old]
            return Accepted(old, view.state, view.model, view.version, False)
        if s.idempotency_key:
            self.by_key[key] = s.id
        self.submitted[s.id] = s
        times = Timings(submitted_at=time.time())
        self.rows[s.tenant, s.id] = JobView(
            s.id, s.tenant, State.QUEUED, s.model, s.version, s.priority, 0, 0, times, metadata=s.metadata
        )
        return Accepted(s.id, State.QUEUED, s.model, s.version, True)

    def keyed(self, tenant: str, keys: Sequence[str]) -> set[str]:
        self._enter()
        return {key for key in keys if (tenant, key) in self.by_key}

    def end(self, id: str, result: bytes | None = b'{"y":6.0}', tenant: str = "default") -> None:
        view = self.rows[tenant, id]
        times = msgspec.structs.replace(view.timings, started_at=time.time(), finished_at=time.time())
        changes: dict[str, Any] = {"state": State.SUCCEEDED, "result": result}
        if result is None:
            changes = {"state": State.FAILED, "reason": Reason.MODEL_ERROR, "error": "boom", "failures": 3}
        self.rows[tenant, id] = msgspec.structs.replace(view, timings=times, **changes)

    def read(self, tenant: str | None, ids: Sequence[str]) -> dict[str, JobView | Purged]:
        self._enter()
        self.reads.append(len(ids))
        found: dict[str, JobView | Purged] = {i: Purged(i) for i in ids if (tenant, i) in self.purged}
        found.update({i: self.rows[tenant or "", i] for i in ids if (tenant, i) in self.rows})
        return found

    def cancel(self, tenant: str | None, ids: Sequence[str]) -> dict[str, JobView | Purged]:
        self._enter()
        for id in ids:
            view = self.rows.get((tenant or "", id))
            if view is not None and view.state in OPEN:
                self.rows[tenant or "", id] = msgspec.structs.replace(view, state=State.CANCELED)
        return self.read(tenant, ids)

    def list_jobs(self, tenant: str | None, wanted: JobFilter, limit: int, cursor: str | None = None) -> Page:
        self._enter()
        if cursor is not None and not cursor.isdigit():
            raise ValueError("expected the cursor of a page before")
        rows = [v for (t, _), v in reversed(self.rows.items()) if t == tenant and wanted.state in (None, v.state)]
        rows = [v for v in rows if wanted.since is None or v.timings.submitted_at >= wanted.since]
        start = int(cursor or 0)
        more = start + limit < len(rows)
        return Page(rows[start : start + limit], str(start + limit) if more else None)

    def backlog(self, most: int) -> int:
        self._enter()
        self.backlogs += 1
        return min(most, sum(view.state in OPEN for view in self.rows.values()))

    def counts(self, open_only: bool = False) -> list[Counts]:
        if self.away:
            raise StoreAway("store fake: refused: start it")
        queued = [v for v in self.rows.values() if v.state is State.QUEUED]
        return [Counts("sum", "1", State.QUEUED, len(queued), time.time())] if queued else []

    def stamp_sent(self, messages: Sequence[Message]) -> None:
        if self.refuse_stamps:
            raise StoreAway("store fake: away")
        self.stamped += [message.id for message in messages]

    def unhold(self, messages: Sequence[Message]) -> None:
        self.left += [message.id for message in messages]

    def now(self) -> float:
        self._enter()
        return time.time()


class FakeNotices:
    def __init__(self) -> None:
        self.works = 0
        self.listeners: list[Callable[[list[str]], None]] = []

    def work(self) -> None:
        self.works += 1

    def ended(self, ids: Sequence[str]) -> None:
        for listener in list(self.listeners):
            listener(list(ids))

    def listen(
        self, on_work: Callable[[], None] | None = None, on_ended: Callable[[list[str]], None] | None = None
    ) -> Callable[[], None]:
        assert on_ended is not None
        self.listeners.append(on_ended)
        return lambda: self.listeners.remove(on_ended)


class FakeOutlet:
    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.up = True
        self.called = threading.Event()

    def send(self, messages: Sequence[Message], delay: float = 0.0) -> list[bool]:
        self.sent += messages
        self.called.set()
        return [self.up for _ in messages]

    def answers(self) -> bool:
        return self.up

    def lost(self) -> list[str]:
        return []
