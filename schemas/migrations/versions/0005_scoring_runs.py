"""Scoring runs, as a service. Code of level 4 runs on without them."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_SEQ = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_OPEN = sa.text("state IN ('queued', 'running')")
_FINISHED = sa.text("finished_at IS NOT NULL")


def upgrade() -> None:
    op.create_table("scoring_runs", *_identity(), *_working(), *_progress(), *_ends())
    op.create_index("uq_scoring_runs_id", "scoring_runs", ["tenant", "run_id"], unique=True)
    _index("ix_scoring_runs_visible", ["visible_at", "seq"], _OPEN)
    _index("ix_scoring_runs_finished", ["finished_at"], _FINISHED)
    op.execute(sa.text("UPDATE store_level SET level = 5 WHERE one = 1"))


def _identity() -> list[sa.Column[Any]]:
    return [
        sa.Column("seq", _SEQ, primary_key=True, autoincrement=True),
        sa.Column("run_id", sa.String(128), nullable=False),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("model", sa.String(63), nullable=False),
        sa.Column("version", sa.String(16), nullable=False),
        sa.Column("asked", sa.Text, nullable=False),
    ]


def _working() -> list[sa.Column[Any]]:
    return [
        sa.Column("visible_at", sa.Double, nullable=False),
        sa.Column("fence", sa.Integer, nullable=False, server_default="0"),
        sa.Column("answered", sa.Integer, nullable=False, server_default="0"),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("starts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("parts_most", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("cancel_asked", sa.SmallInteger, nullable=False, server_default="0"),
    ]


def _progress() -> list[sa.Column[Any]]:
    return [
        sa.Column("rows_done", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("rows_total", sa.BigInteger),
        sa.Column("parts_done", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("parts_total", sa.BigInteger),
        sa.Column("rejected", sa.BigInteger, nullable=False, server_default="0"),
    ]


def _ends() -> list[sa.Column[Any]]:
    return [
        sa.Column("reason", sa.String(32)),
        sa.Column("error", sa.Text),
        sa.Column("summary", sa.Text),
        sa.Column("submitted_at", sa.Double, nullable=False),
        sa.Column("started_at", sa.Double),
        sa.Column("finished_at", sa.Double),
    ]


def _index(name: str, columns: list[str], where: sa.TextClause) -> None:
    op.create_index(name, "scoring_runs", columns, sqlite_where=where, postgresql_where=where)
