"""The audit: who did what, and when. Rows are added and read, and never changed or taken away."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0007"
down_revision = "0006"

SCHEMA = "usage_dashboard"


def upgrade() -> None:
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        # When it happened, by the clock of the process that saw it.
        sa.Column("at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        # What it was done to: names and their values, all text.
        sa.Column("subject", JSONB, nullable=False),
        # When it was written down, by the database's clock.
        sa.Column("written_at", sa.TIMESTAMP(timezone=True), nullable=False, server_default=sa.func.clock_timestamp()),
        schema=SCHEMA,
    )
    op.create_index("audit_at_idx", "audit", ["at"], schema=SCHEMA)
    op.execute(
        f"""
        CREATE FUNCTION {SCHEMA}.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $refuse$
        BEGIN
            RAISE EXCEPTION 'the audit is append-only: its rows are not changed or taken away'
                USING ERRCODE = 'insufficient_privilege';
        END
        $refuse$
        """
    )
    # Once for the statement: one that meets no row is refused too. Always: also in a session that replays changes.
    op.execute(
        f"CREATE TRIGGER audit_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {SCHEMA}.audit"
        f" FOR EACH STATEMENT EXECUTE FUNCTION {SCHEMA}.refuse_change()"
    )
    op.execute(f"ALTER TABLE {SCHEMA}.audit ENABLE ALWAYS TRIGGER audit_is_append_only")
    # From the owner itself: all that it has of its own table is to add and to read.
    op.execute(f"REVOKE ALL ON {SCHEMA}.audit FROM CURRENT_USER")
    op.execute(f"GRANT SELECT, INSERT ON {SCHEMA}.audit TO CURRENT_USER")


def downgrade() -> None:
    op.drop_table("audit", schema=SCHEMA)
    op.execute(f"DROP FUNCTION {SCHEMA}.refuse_change()")
