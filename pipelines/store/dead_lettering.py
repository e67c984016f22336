"""Dead letters: list, group, show, replay, discard. A dead letter is a failed job's row; nothing is copied aside."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from pipelines.store.cursors import decode_cursor, encode_cursor
from pipelines.store.database import Database
from pipelines.store.dialect import Fields, pack
from pipelines.store.port import Discarded
from pipelines.store.sweeping import bury
from schemas.dead_letters import Attempt, DeadLetter, DeadLetterFilter, Group, Replay, Replayed
from schemas.jobs import Page
from schemas.reasons import Reason

_LIST = """
SELECT j.seq, j.id, j.tenant, j.model, j.version, j.generation, j.reason, j.error, j.failures, j.finished_at, j.submitted_at,
       j.origin, j.digest, j.inputs, j.inputs_ref, j.result_ref, j.size, j.metadata
FROM jobs j WHERE j.state = 'failed' AND j.finished_at IS NOT NULL AND {where}
ORDER BY j.finished_at DESC, j.seq DESC LIMIT :limit
"""

_GROUPS = """
SELECT j.model, j.version, j.reason, j.error, count(*) AS count, min(j.finished_at) AS first_at,
       max(j.finished_at) AS last_at, max(j.id) AS example
FROM jobs j WHERE j.state = 'failed' AND j.finished_at IS NOT NULL AND {where}
GROUP BY j.model, j.version, j.reason, j.error ORDER BY count(*) DESC, max(j.finished_at) DESC LIMIT :limit
"""

_ATTEMPTS = "SELECT generation, attempt, at, reason, error FROM attempts WHERE seq = :seq ORDER BY fence"
_REPLAYS = """
SELECT generation, at, "by", version_before, version, inputs_before, inputs_before_ref FROM replays WHERE seq = :seq
ORDER BY generation
"""

_NAMED_FIELDS: Fields = (("id", "text"), ("generation", "int"), ("tenant", "text"))

_FAILED = """
SELECT j.seq, j.id, j.tenant, j.generation, j.version, j.inputs, j.inputs_ref FROM {named} JOIN jobs j ON {is_named:j}
WHERE j.state = 'failed' AND j.generation = v.generation AND (CAST(:tenant AS text) IS NULL OR j.tenant = :tenant)
  AND (v.tenant IS NULL OR j.tenant = v.tenant)
{for_update}
"""

_AGAIN_FIELDS: Fields = (
    ("seq", "int"), ("generation", "int"), ("version", "text"), ("inputs", "text"), ("size", "int"), ("who", "text"),
    ("version_before", "text"), ("inputs_before", "text"), ("inputs_ref", "text"), ("inputs_before_ref", "text"),
    ("model", "text"),
)  # fmt: skip

# A deadline that has passed would end the replayed job at once: an operator's replay has none. `sent_at` is empty even where
# the store is the queue, which does not look at it: the command may run where nobody said that a broker is.
_AGAIN = """
UPDATE jobs SET state = 'queued', generation = v.generation + 1, starts = 0, failures = 0, answered = fence,
    visible_at = {now}, queued_at = {now}, sent_at = NULL, sends = 0,
    held_until = 0, deadline_at = NULL, started_at = NULL, finished_at = NULL, result = NULL, result_ref = NULL,
    reason = NULL, error = NULL,
    model = coalesce(v.model, jobs.model), version = v.version,
    inputs = coalesce({bytes:v.inputs}, jobs.inputs), size = coalesce(v.size, jobs.size),
    inputs_ref = CASE WHEN v.inputs IS NULL THEN jobs.inputs_ref ELSE v.inputs_ref END
FROM {rows} WHERE jobs.seq = v.seq AND jobs.state = 'failed' AND jobs.generation = v.generation
RETURNING jobs.id
"""

_AUDIT = """
INSERT INTO replays (seq, generation, at, "by", version_before, version, inputs_before, inputs_before_ref)
SELECT v.seq, v.generation + 1, {now}, v.who, v.version_before, v.version, {bytes:v.inputs_before},
       v.inputs_before_ref
FROM {rows} WHERE true
"""


class DeadLettering:
    db: Database

    def dead_letters(self, tenant: str | None, wanted: DeadLetterFilter, limit: int, cursor: str | None = None) -> Page:
        where, values = _conditions(tenant, wanted)
        if cursor is not None:
            at, seq = decode_cursor(cursor, float, int)
            where.append("(j.finished_at < :at OR (j.finished_at = :at AND j.seq < :seq))")
            values |= {"at": at, "seq": seq}
        found = self._select(_LIST, where, values | {"limit": limit + 1})
        last = found[limit - 1] if len(found) > limit else None
        more = None if last is None else encode_cursor(float(last.finished_at), last.seq)
        return Page(items=[_letter(row) for row in found[:limit]], cursor=more)

    def dead_letter_groups(self, tenant: str | None, wanted: DeadLetterFilter, limit: int) -> list[Group]:
        where, values = _conditions(tenant, wanted)
        return [
            Group(
                row.model, row.version, Reason(row.reason), row.error, row.count, row.first_at, row.last_at, row.example
            )
            for row in self._select(_GROUPS, where, values | {"limit": limit})
        ]

    def dead_letter(self, tenant: str | None, id: str) -> DeadLetter | None:
        where, values = _conditions(tenant, DeadLetterFilter(ids=(id,)))
        found = self._select(_LIST, where, values | {"limit": 1})
        if not found:
            return None
        history, replays = self.db.read(lambda connection: self._past(connection, found[0].seq))
        return _letter(found[0], history, replays)

    def replay(self, tenant: str | None, replays: Sequence[Replay]) -> list[str]:
        if not replays:
            return []
        return self.db.write(lambda connection: self._replay(connection, tenant, replays))

    def discard(self, tenant: str | None, ids: Collection[str]) -> Discarded:
        where, values = _conditions(tenant, DeadLetterFilter(ids=tuple(ids)))

        def work(connection: Connection) -> Discarded:
            sql = _LIST.replace("{where}", " AND ".join(where)) + " {for_update}"
            found = self.db.run(connection, sql, limit=len(ids), **values).all()
            refs = bury(self.db, connection, found)
            return Discarded([row.id for row in found], refs)

        return self.db.write(work) if ids else Discarded([], [])

    def _select(self, template: str, where: list[str], values: dict[str, Any]) -> Sequence[Any]:
        sql = template.replace("{where}", " AND ".join(where) or "1 = 1")
        return self.db.read(lambda connection: self.db.run(connection, sql, **values).all())

    def _past(self, connection: Connection, seq: int) -> tuple[tuple[Attempt, ...], tuple[Replayed, ...]]:
        history = self.db.run(connection, _ATTEMPTS, seq=seq)
        replays = self.db.run(connection, _REPLAYS, seq=seq)
        return (
            tuple(Attempt(row.generation, row.attempt, row.at, Reason(row.reason), row.error) for row in history),
            tuple(Replayed(*row) for row in replays),
        )

    def _replay(self, connection: Connection, tenant: str | None, replays: Sequence[Replay]) -> list[str]:
        asked = {(replay.tenant, replay.id): replay for replay in replays}
        rows = pack([(replay.id, replay.generation, replay.tenant) for replay in replays])
        failed = self.db.run(connection, _FAILED, _NAMED_FIELDS, rows=rows, tenant=tenant).all()
        chosen = {row.seq: row for row in failed}  # a row may have been asked for twice
        again = pack([_again(row, _asked_of(row, asked)) for _, row in sorted(chosen.items())])
        done = [row.id for row in self.db.run(connection, _AGAIN, _AGAIN_FIELDS, rows=again)]
        if done:
            self.db.run(connection, _AUDIT, _AGAIN_FIELDS, rows=again)
        return done


def _asked_of(row: Any, asked: Mapping[tuple[str | None, str], Replay]) -> Replay:
    replay = asked.get((row.tenant, row.id))
    return asked[None, row.id] if replay is None else replay


def _again(row: Any, replay: Replay) -> tuple[Any, ...]:
    patched = b"" if replay.inputs_ref is not None else replay.inputs
    before = None if patched is None or row.inputs_ref is not None else bytes(row.inputs).decode()
    return (
        row.seq,
        row.generation,
        replay.version or row.version,
        None if patched is None else patched.decode(),
        None if patched is None else replay.referred or len(patched),
        replay.by,
        row.version,
        before,
        replay.inputs_ref,
        None if patched is None else row.inputs_ref,
        replay.model,
    )


def _conditions(tenant: str | None, wanted: DeadLetterFilter) -> tuple[list[str], dict[str, Any]]:
    given: dict[str, tuple[str, Any]] = {
        "tenant": ("j.tenant = :tenant", tenant),
        "model": ("j.model = :model", wanted.model),
        "version": ("j.version = :version", wanted.version),
        "reason": ("j.reason = :reason", None if wanted.reason is None else str(wanted.reason)),
        "error": (r"j.error LIKE :error ESCAPE '\'", None if wanted.error is None else _contains(wanted.error)),
        "since": ("j.finished_at >= :since", wanted.since),
        "until": ("j.finished_at < :until", wanted.until),
    }
    chosen = {name: pair for name, pair in given.items() if pair[1] is not None}
    where, values = (
        [condition for condition, _ in chosen.values()],
        {name: value for name, (_, value) in chosen.items()},
    )
    if wanted.ids:
        where.append(f"j.id IN ({', '.join(f':id_{n}' for n in range(len(wanted.ids)))})")
        values |= {f"id_{n}": id for n, id in enumerate(wanted.ids)}
    return where, values


def _contains(part: str) -> str:
    escaped = part.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
    return f"%{escaped}%"


def _letter(row: Any, history: tuple[Attempt, ...] = (), replays: tuple[Replayed, ...] = ()) -> DeadLetter:
    return DeadLetter(
        id=row.id,
        tenant=row.tenant,
        model=row.model,
        version=row.version,
        generation=row.generation,
        reason=Reason(row.reason),
        error=row.error or "",
        attempts=row.failures,
        failed_at=row.finished_at,
        submitted_at=row.submitted_at,
        origin=row.origin,
        inputs=bytes(row.inputs),
        metadata=row.metadata,
        history=history,
        replays=replays,
        inputs_ref=row.inputs_ref,
        size=row.size,
    )
