"""What engineers look at: statements and their plans, baselines, indexes made from advice, and alerts sent."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0003"
down_revision = "0002"

SCHEMA = "usage_dashboard"
_NOW = sa.func.now()


def upgrade() -> None:
    # The line of our code that asked, and the plan that was taken at the time.
    op.add_column("query_log", sa.Column("asked_by", sa.Text), schema=SCHEMA)
    op.add_column("query_log", sa.Column("plan_hash", sa.Text), schema=SCHEMA)
    op.create_index("query_log_run_id_idx", "query_log", ["run_id"], schema=SCHEMA)
    op.create_table(
        "statement",
        sa.Column("fingerprint", sa.Text, primary_key=True),
        sa.Column("query", sa.Text, nullable=False),
        sa.Column("sql", sa.Text, nullable=False),
        # The server's own number for it, to find it in pg_stat_statements.
        sa.Column("queryid", sa.BigInteger),
        sa.Column("first_seen_at", sa.TIMESTAMP(timezone=True), nullable=False, server_default=_NOW),
        sa.Column("last_seen_at", sa.TIMESTAMP(timezone=True), nullable=False, server_default=_NOW),
        schema=SCHEMA,
    )
    op.create_table(
        "plan",
        sa.Column("fingerprint", sa.Text, primary_key=True),
        sa.Column("plan_hash", sa.Text, primary_key=True),
        sa.Column("query", sa.Text, nullable=False),
        # What EXPLAIN (FORMAT JSON) printed the last time this plan was seen, and with which (masked) parameters.
        sa.Column("plan", JSONB, nullable=False),
        sa.Column("parameters", JSONB),
        sa.Column("database_ms", sa.Double),
        sa.Column("first_seen_at", sa.TIMESTAMP(timezone=True), nullable=False, server_default=_NOW),
        sa.Column("last_seen_at", sa.TIMESTAMP(timezone=True), nullable=False, server_default=_NOW),
        schema=SCHEMA,
    )
    op.create_table(
        "baseline",
        sa.Column("release", sa.Text, primary_key=True),
        sa.Column("query", sa.Text, primary_key=True),
        sa.Column("calls", sa.BigInteger, nullable=False),
        sa.Column("p50_ms", sa.Double, nullable=False),
        sa.Column("p95_ms", sa.Double, nullable=False),
        sa.Column("saved_at", sa.TIMESTAMP(timezone=True), nullable=False, server_default=_NOW),
        sa.Column("saved_by", sa.Text, nullable=False),
        schema=SCHEMA,
    )
    op.create_table(
        "index_change",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("index_name", sa.Text, nullable=False),
        sa.Column("ddl", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        # Fingerprint, name, p50 and p95 of the statements it was for, as they were before.
        sa.Column("before", JSONB, nullable=False),
        sa.Column("changed_at", sa.TIMESTAMP(timezone=True), nullable=False, server_default=_NOW),
        sa.Column("changed_by", sa.Text, nullable=False),
        sa.CheckConstraint("action IN ('create', 'drop')", name="index_change_action"),
        schema=SCHEMA,
    )
    op.create_table(
        "alert",
        sa.Column("subject", sa.Text, primary_key=True),
        sa.Column("sentence", sa.Text, nullable=False),
        sa.Column("told_at", sa.TIMESTAMP(timezone=True), nullable=False, server_default=_NOW),
        schema=SCHEMA,
    )


def downgrade() -> None:
    for table in ("alert", "index_change", "baseline", "plan", "statement"):
        op.drop_table(table, schema=SCHEMA)
    op.drop_index("query_log_run_id_idx", "query_log", schema=SCHEMA)
    op.drop_column("query_log", "plan_hash", schema=SCHEMA)
    op.drop_column("query_log", "asked_by", schema=SCHEMA)
