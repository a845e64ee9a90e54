"""Access: who has which role for which tenants, and which sign-ins were ended before their time."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"

SCHEMA = "usage_dashboard"


def upgrade() -> None:
    op.create_table(
        "access",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        # An address or a domain in lower case, or a group as the claim names it.
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        # Null: all tenants.
        sa.Column("tenants", postgresql.ARRAY(sa.Text)),
        sa.Column("may_read_prompts", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("created_at", sa.TIMESTAMP(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.UniqueConstraint("kind", "subject", "role", name="access_kind_subject_role_key"),
        sa.CheckConstraint("kind IN ('email', 'domain', 'group')", name="access_kind"),
        sa.CheckConstraint("role IN ('account_manager', 'engineer', 'finance', 'admin')", name="access_role"),
        sa.CheckConstraint(
            "NOT may_read_prompts OR role IN ('account_manager', 'admin')", name="access_may_read_prompts"
        ),
        sa.CheckConstraint("role <> 'admin' OR tenants IS NULL", name="access_admin_has_all_tenants"),
        schema=SCHEMA,
    )
    op.create_table(
        "ended_sign_in",
        # A digest of what the identity provider said at that sign-in.
        sa.Column("sign_in", sa.Text, primary_key=True),
        sa.Column("ended_at", sa.TIMESTAMP(timezone=True), nullable=False, server_default=sa.func.now()),
        schema=SCHEMA,
    )
    op.create_index("ended_sign_in_ended_at_idx", "ended_sign_in", ["ended_at"], schema=SCHEMA)


def downgrade() -> None:
    for table in ("ended_sign_in", "access"):
        op.drop_table(table, schema=SCHEMA)
