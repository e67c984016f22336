"""Jobs, attempts, replays, tombstones."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_SEQ = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_OPEN = sa.text("state IN ('queued', 'running')")
_FINISHED = sa.text("finished_at IS NOT NULL")
_UNSENT = sa.text("state = 'queued' AND sent_at IS NULL")
_KEYED = sa.text("idempotency_key IS NOT NULL")
_DEADLINE = sa.text("deadline_at IS NOT NULL AND state IN ('queued', 'running')")


def upgrade() -> None:
    _jobs()
    _histories()
    _housekeeping()


def _jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("seq", _SEQ, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String(128), nullable=False),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("model", sa.String(63), nullable=False),
        sa.Column("version", sa.String(16), nullable=False),
        sa.Column("priority", sa.SmallInteger, nullable=False),
        sa.Column("visible_at", sa.Double, nullable=False),
        sa.Column("deadline_at", sa.Double),
        sa.Column("sent_at", sa.Double),
        sa.Column("held_until", sa.Double, nullable=False, server_default="0"),
        *(
            sa.Column(name, sa.Integer, nullable=False, server_default="0")
            for name in ("sends", "generation", "fence", "answered", "started_fence", "starts", "failures")
        ),
        sa.Column("submitted_at", sa.Double, nullable=False),
        sa.Column("queued_at", sa.Double, nullable=False),
        sa.Column("started_at", sa.Double),
        sa.Column("finished_at", sa.Double),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("inputs", sa.LargeBinary, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("idempotency_key", sa.String(255)),
        sa.Column("result", sa.LargeBinary),
        sa.Column("reason", sa.String(32)),
        sa.Column("error", sa.Text),
        sa.Column("webhook", sa.Text),
        sa.Column("metadata", sa.LargeBinary),
        sa.Column("traceparent", sa.String(64)),
        sa.Column("origin", sa.Text, nullable=False, server_default="api"),
    )
    _index("uq_jobs_id", ["id", "tenant"], unique=True)
    _index("uq_jobs_key", ["tenant", "idempotency_key"], where=_KEYED, unique=True)
    _index("ix_jobs_visible", ["model", "priority", "visible_at", "seq"], where=_OPEN)
    _index("ix_jobs_unsent", ["visible_at"], where=_UNSENT)
    _index("ix_jobs_deadline", ["deadline_at"], where=_DEADLINE)
    _index("ix_jobs_finished", ["state", "finished_at", "seq"], where=_FINISHED)


def _index(name: str, columns: list[str], where: sa.TextClause | None = None, unique: bool = False) -> None:
    op.create_index(name, "jobs", columns, unique=unique, sqlite_where=where, postgresql_where=where)


def _histories() -> None:
    op.create_table(
        "attempts",
        sa.Column("seq", _SEQ, primary_key=True),
        sa.Column("generation", sa.Integer, primary_key=True),
        sa.Column("fence", sa.Integer, primary_key=True),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("reason", sa.String(32), nullable=False),
        sa.Column("error", sa.Text, nullable=False),
    )
    op.create_table(
        "replays",
        sa.Column("seq", _SEQ, primary_key=True),
        sa.Column("generation", sa.Integer, primary_key=True),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("version_before", sa.String(16), nullable=False),
        sa.Column("version", sa.String(16), nullable=False),
        sa.Column("inputs_before", sa.LargeBinary),
    )


def _housekeeping() -> None:
    op.create_table(
        "tombstones",
        sa.Column("id", sa.String(128), primary_key=True),
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("purged_at", sa.Double, nullable=False),
    )
    op.create_index("ix_tombstones_purged", "tombstones", ["purged_at"])
    op.create_table(
        "paused_models",
        sa.Column("model", sa.String(63), primary_key=True),
        sa.Column("paused_at", sa.Double, nullable=False),
    )
    op.create_table(
        "leases",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("holder", sa.String(64), nullable=False),
        sa.Column("until", sa.Double, nullable=False),
    )
    level = op.create_table(
        "store_level",
        sa.Column("one", sa.Integer, primary_key=True),
        sa.Column("level", sa.Integer, nullable=False),
        sa.Column("oldest_code", sa.Integer, nullable=False),
    )
    op.bulk_insert(level, [{"one": 1, "level": 1, "oldest_code": 1}])
