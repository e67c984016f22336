"""Strays: messages of a queue that name no job, kept raw. Code of level 1 runs on without them."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "strays",
        sa.Column("source", sa.String(255), primary_key=True),
        sa.Column("position", sa.String(255), primary_key=True),
        sa.Column("raw", sa.LargeBinary),
        sa.Column("key", sa.LargeBinary),
        sa.Column("headers", sa.LargeBinary, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("seen_at", sa.Double, nullable=False),
    )
    op.create_index("ix_strays_seen", "strays", ["seen_at"])
    op.execute(sa.text("UPDATE store_level SET level = 2 WHERE one = 1"))
