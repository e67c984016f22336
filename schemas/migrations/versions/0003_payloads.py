"""The claim check: where large inputs and results are. Code of level 2 runs on, but cannot run jobs whose input is elsewhere:
workers are upgraded before the API."""

import uuid

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_REFERRED = sa.text("inputs_ref IS NOT NULL")
_KEPT = sa.text("inputs_before_ref IS NOT NULL")


def upgrade() -> None:
    op.add_column("jobs", sa.Column("inputs_ref", sa.Text))
    op.add_column("jobs", sa.Column("result_ref", sa.Text))
    op.add_column("replays", sa.Column("inputs_before_ref", sa.Text))
    op.add_column("store_level", sa.Column("identity", sa.String(32)))
    _index("uq_jobs_inputs_ref", "jobs", "inputs_ref", _REFERRED, unique=True)
    _index("ix_replays_ref", "replays", "inputs_before_ref", _KEPT, unique=False)
    named = sa.text("UPDATE store_level SET level = 3, identity = :identity WHERE one = 1")
    op.execute(named.bindparams(identity=uuid.uuid4().hex))


def _index(name: str, table: str, column: str, where: sa.TextClause, unique: bool) -> None:
    op.create_index(name, table, [column], unique=unique, sqlite_where=where, postgresql_where=where)
