"""The query log: one row per answered question."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None

SCHEMA = "usage_dashboard"


def upgrade() -> None:
    op.create_table(
        "query_log",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("query", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.Text),
        sa.Column("parameters", JSONB),
        sa.Column("parameters_hash", sa.Text),
        sa.Column("scope_digest", sa.Text, nullable=False),
        sa.Column("page", sa.Text, nullable=False),
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("wait_ms", sa.Double, nullable=False),
        sa.Column("database_ms", sa.Double, nullable=False),
        sa.Column("fetch_ms", sa.Double, nullable=False),
        sa.Column("frame_ms", sa.Double, nullable=False),
        sa.Column("cache_ms", sa.Double, nullable=False),
        sa.Column("rows", sa.BigInteger),
        sa.Column("slow", sa.Boolean, nullable=False),
        sa.Column("error", sa.Text),
        sa.Column("reference", sa.Text),
        schema=SCHEMA,
    )
    op.create_index("query_log_at_idx", "query_log", ["at"], schema=SCHEMA)
    op.create_index("query_log_query_at_idx", "query_log", ["query", "at"], schema=SCHEMA)


def downgrade() -> None:
    op.drop_table("query_log", schema=SCHEMA)
