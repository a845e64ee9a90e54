"""Finance: what balances were each day, months that were closed and what they held, and which files were fetched."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSON, JSONB

revision = "0005"
down_revision = "0004"

SCHEMA = "usage_dashboard"
_TIME = sa.TIMESTAMP(timezone=True)
_SUMS = ("purchased", "granted", "refunded", "adjusted", "burned", "expired")


def upgrade() -> None:
    op.create_table(
        "balance_snapshot",
        sa.Column("tenant_id", sa.Text, primary_key=True),
        sa.Column("zone", sa.Text, primary_key=True),
        # The day of that zone on which it was taken.
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("taken_at", _TIME, nullable=False),
        # As posted; null for a tenant that has movements but no balance.
        sa.Column("balance", sa.Numeric),
        # The sum of all movements that were there.
        sa.Column("ledger", sa.Numeric, nullable=False),
        schema=SCHEMA,
    )
    op.create_index("balance_snapshot_zone_day_idx", "balance_snapshot", ["zone", "day"], schema=SCHEMA)
    op.create_table(
        "closed_month",
        # The month's first day.
        sa.Column("month", sa.Date, primary_key=True),
        sa.Column("zone", sa.Text, nullable=False),
        sa.Column("closed_at", _TIME, nullable=False),
        sa.Column("closed_by", sa.Text, nullable=False),
        # The time of the snapshot that all that is frozen was read in, by the database's clock.
        sa.Column("as_of", _TIME, nullable=False),
        # The newest movement at the time; null when there was none.
        sa.Column("last_posted_at", _TIME),
        # Of each frozen report: schema version, rows, exact sums, bytes, parts, SHA-256; in the order of their columns.
        sa.Column("reports", JSON, nullable=False),
        schema=SCHEMA,
    )
    op.create_table(
        "closed_statement",
        sa.Column("tenant_id", sa.Text, primary_key=True),
        sa.Column("month", sa.Date, primary_key=True),
        sa.Column("zone", sa.Text, nullable=False),
        # The name as it was.
        sa.Column("tenant", sa.Text),
        # False for a tenant that the statement leaves out: only its sums to date are kept.
        sa.Column("is_listed", sa.Boolean, nullable=False),
        *(sa.Column(name, sa.Numeric, nullable=False) for name in ("opening", *_SUMS, "closing", "unexplained")),
        # Of all movements posted before the month's end, each with the sign of the column above.
        *(sa.Column(f"to_date_{name}", sa.Numeric, nullable=False) for name in _SUMS),
        sa.Column("closed_at", _TIME, nullable=False),
        schema=SCHEMA,
    )
    op.create_index("closed_statement_month_idx", "closed_statement", ["month"], schema=SCHEMA)
    op.create_table(
        "closed_part",
        sa.Column("month", sa.Date, primary_key=True),
        sa.Column("report", sa.Text, primary_key=True),
        sa.Column("part", sa.Integer, primary_key=True),
        sa.Column("gzip", sa.LargeBinary, nullable=False),
        # Of the compressed bytes.
        sa.Column("sha256", sa.Text, nullable=False),
        sa.CheckConstraint("octet_length(gzip) <= 8388608", name="closed_part_size"),
        schema=SCHEMA,
    )
    # What is compressed already is not compressed again.
    op.execute(f"ALTER TABLE {SCHEMA}.closed_part ALTER COLUMN gzip SET STORAGE EXTERNAL")
    op.create_table(
        "correction",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("tenant_id", sa.Text, nullable=False),
        # The last month that was closed when it was found.
        sa.Column("month", sa.Date, nullable=False),
        sa.Column("zone", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("credits", sa.Numeric, nullable=False),
        sa.Column("found_at", _TIME, nullable=False),
        schema=SCHEMA,
    )
    op.create_index("correction_month_tenant_id_idx", "correction", ["month", "tenant_id"], schema=SCHEMA)
    op.create_table(
        "export",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("report", sa.Text, nullable=False),
        sa.Column("schema_version", sa.Integer, nullable=False),
        sa.Column("asked_by", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("asked_at", _TIME, nullable=False, server_default=sa.func.now()),
        # Tenants or all, period, zone, format, dialect, guarded or raw, with prompts or not.
        sa.Column("filters", JSONB, nullable=False),
        sa.Column("format", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False, server_default="running"),
        sa.Column("reason", sa.Text),
        sa.Column("finished_at", _TIME),
        # What the manifest says; null until the file has ended.
        sa.Column("as_of", _TIME),
        sa.Column("rows", sa.BigInteger),
        sa.Column("bytes", sa.BigInteger),
        sa.Column("sums", JSON),
        sa.Column("sha256", sa.Text),
        sa.Column("status", sa.Text),
        sa.Column("differences", JSONB),
        sa.CheckConstraint("state IN ('running', 'done', 'failed', 'left')", name="export_state"),
        sa.CheckConstraint("status IN ('provisional', 'closed')", name="export_status"),
        schema=SCHEMA,
    )
    op.create_index("export_asked_at_idx", "export", ["asked_at"], schema=SCHEMA)


def downgrade() -> None:
    for view in ("our_balance_snapshot", "our_closed_statement", "our_correction"):
        op.execute(f"DROP VIEW IF EXISTS {SCHEMA}.{view}")
    for table in ("export", "correction", "closed_part", "closed_statement", "closed_month", "balance_snapshot"):
        op.drop_table(table, schema=SCHEMA)
