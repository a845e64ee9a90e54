"""Up to when the aggregates are whole. The aggregates themselves have the types of the application's tables, so the
refresh makes them (queries/aggregates.py); without them everything is read from the rows."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

SCHEMA = "usage_dashboard"


def upgrade() -> None:
    op.create_table(
        "aggregate_state",
        # What the aggregates were made for: the mapping, the types of its columns and our own version.
        sa.Column("made_for", sa.Text, primary_key=True),
        # A midnight of UTC: of each day before it the aggregates hold everything.
        sa.Column("until", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("refreshed_at", sa.TIMESTAMP(timezone=True), nullable=False),
        # When all days were last compared with the rows, not only the newest and those with something unfinished.
        sa.Column("compared_at", sa.TIMESTAMP(timezone=True), nullable=False),
        schema=SCHEMA,
    )


def downgrade() -> None:
    for table in ("usage_hour", "usage_day", "ledger_hour", "latency_day", "failure_hour"):
        op.execute(f"DROP TABLE IF EXISTS {SCHEMA}.{table} CASCADE")
    op.drop_table("aggregate_state", schema=SCHEMA)
