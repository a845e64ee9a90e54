"""Notes that people pin to a tenant and a day, and the flags that the digest has told of."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

SCHEMA = "usage_dashboard"


def upgrade() -> None:
    op.create_table(
        "note",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("tenant_id", sa.Text, nullable=False),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("author_role", sa.Text, nullable=False),
        sa.Column("created_at", sa.TIMESTAMP(timezone=True), nullable=False, server_default=sa.func.now()),
        # A note that was taken away stays, for whoever asks who did it; nobody is shown it.
        sa.Column("removed_at", sa.TIMESTAMP(timezone=True)),
        sa.Column("removed_by", sa.Text),
        sa.CheckConstraint("char_length(text) BETWEEN 1 AND 200", name="note_text_length"),
        schema=SCHEMA,
    )
    op.create_index("note_tenant_id_day_idx", "note", ["tenant_id", "day"], schema=SCHEMA)
    op.create_table(
        "digest_state",
        sa.Column("recipient", sa.Text, primary_key=True),
        sa.Column("tenant_id", sa.Text, primary_key=True),
        sa.Column("rule", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("sentence", sa.Text, nullable=False),
        sa.Column("told_at", sa.TIMESTAMP(timezone=True), nullable=False, server_default=sa.func.now()),
        schema=SCHEMA,
    )


def downgrade() -> None:
    op.execute(f"DROP VIEW IF EXISTS {SCHEMA}.our_note")
    op.drop_table("digest_state", schema=SCHEMA)
    op.drop_table("note", schema=SCHEMA)
