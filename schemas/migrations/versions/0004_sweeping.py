"""Each rule of sweeping has an index: with a million rows a sweep read them all. Code of level 3 runs on."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_RUNNING = sa.text("state = 'running'")
_SENT = sa.text("state IN ('queued', 'running') AND sends > 0")


def upgrade() -> None:
    _index("ix_jobs_running", "visible_at", _RUNNING)
    _index("ix_jobs_sent", "sent_at", _SENT)
    op.execute(sa.text("UPDATE store_level SET level = 4 WHERE one = 1"))


def _index(name: str, column: str, where: sa.TextClause) -> None:
    op.create_index(name, "jobs", [column], sqlite_where=where, postgresql_where=where)
