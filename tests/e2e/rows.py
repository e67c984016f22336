"""The store as it is at rest, read with plain SQL; and every change of a row's state, kept by a trigger of the database.

The trigger sees what no client can: each claim's fence, and each step of each row, whoever made it.
"""

import sqlite3
from contextlib import closing
from functools import partial
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, text

from pipelines.store.database import Database
from pipelines.store.opening import open_database, open_store


class Row(Struct, frozen=True):
    seq: int
    id: str
    key: str | None
    state: str
    n: int
    kind: int
    generation: int
    fence: int
    failures: int
    starts: int
    reason: str | None = None
    answer: int | None = None
    error: str | None = None


class Step(Struct, frozen=True):
    """One change of one row; `seq` names the row, steps are in the order of their commit per row. A row that ended and is
    written once more is a step even when the same is written: the pure model's answer is the same each time."""

    seq: int
    before: str
    after: str
    generation: int
    fence_before: int
    fence: int
    rewritten: bool = False
    """A result that was there is another now."""


_COLUMNS = "seq, was, is_now, generation, fence_was, fence, rewritten"
_TABLE = """CREATE TABLE audited (number {serial}, seq BIGINT, was TEXT, is_now TEXT, generation INTEGER,
    fence_was INTEGER, fence INTEGER, rewritten INTEGER)"""
_VALUES = """NEW.seq, OLD.state, NEW.state, NEW.generation, OLD.fence, NEW.fence,
    CASE WHEN OLD.result IS NOT NULL AND OLD.result {differs} NEW.result THEN 1 ELSE 0 END"""
_CHANGED = """OLD.state <> NEW.state OR OLD.fence <> NEW.fence OR OLD.result {differs} NEW.result
    OR OLD.finished_at {differs} NEW.finished_at"""

_SQLITE = (
    _TABLE.format(serial="INTEGER PRIMARY KEY"),
    f"""CREATE TRIGGER audit AFTER UPDATE ON jobs WHEN {_CHANGED.format(differs="IS NOT")} BEGIN
        INSERT INTO audited ({_COLUMNS}) VALUES ({_VALUES.format(differs="IS NOT")}); END""",
)
_POSTGRES = (
    _TABLE.format(serial="BIGSERIAL PRIMARY KEY"),
    f"""CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO audited ({_COLUMNS}) VALUES ({_VALUES.format(differs="IS DISTINCT FROM")}); RETURN NEW; END $$""",
    f"""CREATE TRIGGER audit AFTER UPDATE ON jobs FOR EACH ROW
        WHEN ({_CHANGED.format(differs="IS DISTINCT FROM")}) EXECUTE FUNCTION audit()""",
)


class Rows:
    """Of one store, which is made here, with its trigger."""

    def __init__(self, url: str) -> None:
        open_store(url).close()
        self._db: Database = open_database(url)
        for statement in _SQLITE if url.startswith("sqlite") else _POSTGRES:
            self._db.write(partial(_execute, statement))

    def all(self) -> list[Row]:
        columns = "seq, id, idempotency_key, state, inputs, generation, fence, failures, starts, reason, result, error"
        return [_row(*row) for row in self._select(f"{columns} FROM jobs ORDER BY seq")]

    def steps(self) -> list[Step]:
        return [
            Step(row[0], row[1], row[2], row[3], row[4], row[5], bool(row[6]))
            for row in self._select(f"{_COLUMNS} FROM audited ORDER BY number")
        ]

    def told(self) -> str:
        """What is still open, and why it may be."""
        ask = """SELECT id, model, state, generation, fence, answered, starts, failures, sends, held_until,
            sent_at - queued_at AS sent_after, visible_at - queued_at AS due_after FROM jobs
            WHERE state IN ('queued', 'running') ORDER BY seq LIMIT 5"""
        rows = self._db.read(lambda connection: connection.execute(text(ask)).all())
        return f"{self.open()} jobs are still open: " + "; ".join(str(row._asdict()) for row in rows)

    def open(self) -> int:
        """How many are queued or running."""
        return int(self._select("count(*) FROM jobs WHERE state IN ('queued', 'running')")[0][0])

    def count(self, state: str) -> int:
        return int(self._select("count(*) FROM jobs WHERE state = :state", state=state)[0][0])

    def unlocked(self) -> bool:
        """Whether nobody is in the middle of a transaction that writes."""
        if self._db.dialect.name == "postgresql":
            locking = "count(*) FROM (SELECT seq FROM jobs FOR UPDATE SKIP LOCKED) AS free"
            return bool(self._select(locking)[0][0] == self._select("count(*) FROM jobs")[0][0])
        with closing(sqlite3.connect(str(self._db.engine.url.database), timeout=0.2)) as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return False
            return True

    def close(self) -> None:
        self._db.close()

    def _select(self, what: str, **values: Any) -> list[Any]:
        def work(connection: Connection) -> list[Any]:
            return list(connection.execute(text(f"SELECT {what}"), values))

        return self._db.read(work)


def _execute(statement: str, connection: Connection) -> None:
    connection.execute(text(statement))


def _row(
    seq: int, id: str, key: str | None, state: str, inputs: bytes, generation: int, fence: int, failures: int, starts: int,
    reason: str | None, result: bytes | None, error: str | None,
) -> Row:  # fmt: skip
    n, kind = msgspec.json.decode(inputs)["x"]
    answer = None if result is None else msgspec.json.decode(result)["y"][0]
    return Row(seq, id, key, state, n, kind, generation, fence, failures, starts, reason, answer, error)
