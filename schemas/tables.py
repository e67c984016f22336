"""The tables, the same on SQLite and PostgreSQL.

All times are epoch seconds by the database's own clock. Columns are only ever added, with a default, so that workers
of the last release keep running on a migrated store.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    text,
)

LEVEL = 5
"""What this code expects of the store: the number of the newest migration it needs."""

metadata = MetaData()

_SEQ = BigInteger().with_variant(Integer, "sqlite")
_OPEN = text("state IN ('queued', 'running')")
_FINISHED = text("finished_at IS NOT NULL")
_UNSENT = text("state = 'queued' AND sent_at IS NULL")
_KEYED = text("idempotency_key IS NOT NULL")
_REFERRED = text("inputs_ref IS NOT NULL")
_KEPT = text("inputs_before_ref IS NOT NULL")
_RUNNING = text("state = 'running'")
_SENT = text("state IN ('queued', 'running') AND sends > 0")
_DEADLINE = text("deadline_at IS NOT NULL AND state IN ('queued', 'running')")

jobs = Table(
    "jobs",
    metadata,
    Column("seq", _SEQ, primary_key=True, autoincrement=True),
    Column("id", String(128), nullable=False),
    Column("tenant", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("model", String(63), nullable=False),
    Column("version", String(16), nullable=False),
    Column("priority", SmallInteger, nullable=False),
    # When the row may be claimed: its due time while queued, the end of its lease while running. One column, so that
    # one index serves both halves of the claim (docs/decisions/0001).
    Column("visible_at", Double, nullable=False),
    Column("deadline_at", Double),
    Column("sent_at", Double),
    Column("held_until", Double, nullable=False, server_default="0"),
    Column("sends", Integer, nullable=False, server_default="0"),
    Column("generation", Integer, nullable=False, server_default="0"),
    Column("fence", Integer, nullable=False, server_default="0"),
    Column("answered", Integer, nullable=False, server_default="0"),
    Column("started_fence", Integer, nullable=False, server_default="0"),
    Column("starts", Integer, nullable=False, server_default="0"),
    Column("failures", Integer, nullable=False, server_default="0"),
    Column("submitted_at", Double, nullable=False),
    Column("queued_at", Double, nullable=False),
    Column("started_at", Double),
    Column("finished_at", Double),
    Column("size", Integer, nullable=False),
    Column("inputs", LargeBinary, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("idempotency_key", String(255)),
    Column("result", LargeBinary),
    Column("reason", String(32)),
    Column("error", Text),
    Column("webhook", Text),
    Column("metadata", LargeBinary),
    Column("traceparent", String(64)),
    Column("origin", Text, nullable=False, server_default="api"),
    # The claim check: where an input or a result is that is too large for the row. `inputs` is empty then, `size` is not.
    Column("inputs_ref", Text),
    Column("result_ref", Text),
    # Messages name a row by id alone, so the id leads.
    Index("uq_jobs_id", "id", "tenant", unique=True),
    Index("uq_jobs_key", "tenant", "idempotency_key", unique=True, sqlite_where=_KEYED, postgresql_where=_KEYED),
    # An object belongs to one job: it goes with it.
    Index("uq_jobs_inputs_ref", "inputs_ref", unique=True, sqlite_where=_REFERRED, postgresql_where=_REFERRED),
    Index("ix_jobs_visible", "model", "priority", "visible_at", "seq", sqlite_where=_OPEN, postgresql_where=_OPEN),
    Index("ix_jobs_unsent", "visible_at", sqlite_where=_UNSENT, postgresql_where=_UNSENT),
    Index("ix_jobs_running", "visible_at", sqlite_where=_RUNNING, postgresql_where=_RUNNING),
    # Empty where the store is the queue: nothing is sent there.
    Index("ix_jobs_sent", "sent_at", sqlite_where=_SENT, postgresql_where=_SENT),
    Index("ix_jobs_deadline", "deadline_at", sqlite_where=_DEADLINE, postgresql_where=_DEADLINE),
    Index("ix_jobs_finished", "state", "finished_at", "seq", sqlite_where=_FINISHED, postgresql_where=_FINISHED),
)

attempts = Table(
    "attempts",
    metadata,
    Column("seq", _SEQ, primary_key=True),
    Column("generation", Integer, primary_key=True),
    Column("fence", Integer, primary_key=True),
    Column("attempt", Integer, nullable=False),
    Column("at", Double, nullable=False),
    Column("reason", String(32), nullable=False),
    Column("error", Text, nullable=False),
)

replays = Table(
    "replays",
    metadata,
    Column("seq", _SEQ, primary_key=True),
    Column("generation", Integer, primary_key=True),
    Column("at", Double, nullable=False),
    Column("by", Text, nullable=False),
    Column("version_before", String(16), nullable=False),
    Column("version", String(16), nullable=False),
    Column("inputs_before", LargeBinary),
    Column("inputs_before_ref", Text),
    Index("ix_replays_ref", "inputs_before_ref", sqlite_where=_KEPT, postgresql_where=_KEPT),
)

tombstones = Table(
    "tombstones",
    metadata,
    Column("id", String(128), primary_key=True),
    Column("tenant", String(64), primary_key=True),
    Column("purged_at", Double, nullable=False),
    Index("ix_tombstones_purged", "purged_at"),
)

paused_models = Table(
    "paused_models",
    metadata,
    Column("model", String(63), primary_key=True),
    Column("paused_at", Double, nullable=False),
)

strays = Table(
    "strays",
    metadata,
    Column("source", String(255), primary_key=True),
    Column("position", String(255), primary_key=True),
    Column("raw", LargeBinary),
    Column("key", LargeBinary),
    Column("headers", LargeBinary, nullable=False),
    Column("error", Text, nullable=False),
    Column("seen_at", Double, nullable=False),
    Index("ix_strays_seen", "seen_at"),
)

scoring_runs = Table(
    "scoring_runs",
    metadata,
    Column("seq", _SEQ, primary_key=True, autoincrement=True),
    Column("run_id", String(128), nullable=False),
    Column("tenant", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("model", String(63), nullable=False),
    Column("version", String(16), nullable=False),
    # The request as JSON: a run id stands for one of them.
    Column("asked", Text, nullable=False),
    # When the row may be claimed, as in `jobs`: its due time while queued, the end of its lease while running.
    Column("visible_at", Double, nullable=False),
    Column("fence", Integer, nullable=False, server_default="0"),
    Column("answered", Integer, nullable=False, server_default="0"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    # Claims in a row that were not answered and got no part done; `parts_most` is what they are held against.
    Column("starts", Integer, nullable=False, server_default="0"),
    Column("parts_most", BigInteger, nullable=False, server_default="0"),
    Column("cancel_asked", SmallInteger, nullable=False, server_default="0"),
    Column("rows_done", BigInteger, nullable=False, server_default="0"),
    Column("rows_total", BigInteger),
    Column("parts_done", BigInteger, nullable=False, server_default="0"),
    Column("parts_total", BigInteger),
    Column("rejected", BigInteger, nullable=False, server_default="0"),
    Column("reason", String(32)),
    Column("error", Text),
    Column("summary", Text),
    Column("submitted_at", Double, nullable=False),
    Column("started_at", Double),
    Column("finished_at", Double),
    Index("uq_scoring_runs_id", "tenant", "run_id", unique=True),
    Index("ix_scoring_runs_visible", "visible_at", "seq", sqlite_where=_OPEN, postgresql_where=_OPEN),
    Index("ix_scoring_runs_finished", "finished_at", sqlite_where=_FINISHED, postgresql_where=_FINISHED),
)

# Beside leases: SQLite's mark of the highest `seq` that was deleted (pipelines/store/numbering.py), in `until`.
leases = Table(
    "leases",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("holder", String(64), nullable=False),
    Column("until", Double, nullable=False),
)

store_level = Table(
    "store_level",
    metadata,
    Column("one", Integer, primary_key=True),
    # The newest migration applied, and the oldest code that still runs on it.
    Column("level", Integer, nullable=False),
    Column("oldest_code", Integer, nullable=False),
    # Random, made with level 3: payloads of two stores never mix, even in one bucket.
    Column("identity", String(32)),
)
