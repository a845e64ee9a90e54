"""What the walls compare with: the tenants that the transaction names, as the planner sees them.

Both functions are called immutable though they read a setting, so that the planner puts their values into the plan: a
setting itself is no constant to it, and would be asked for each row. A plan that outlives its transaction would hold
the tenants of another; so each wall shows nothing unless the setting is still what the statement was planned for.
"""

from alembic import op

revision = "0008"
down_revision = "0007"

SCHEMA = "usage_dashboard"
_NAMED = f"pg_catalog.current_setting('{SCHEMA}.tenants', true)"


def upgrade() -> None:
    # Once a transaction has named tenants, the setting is an empty text for the rest of its session.
    _create("planned_tenants", "text", f"NULLIF({_NAMED}, '')")
    # One step of its own: reading an array from a text is not immutable either.
    _create("planned_tenant_ids", "text[]", f"NULLIF(NULLIF({_NAMED}, ''), 'all')::pg_catalog.text[]")


def _create(name: str, returned: str, body: str) -> None:
    op.execute(
        # In PL/pgSQL it is no statement of its own, after whose end HypoPG would take no more part in the planning.
        f"CREATE FUNCTION {SCHEMA}.{name}() RETURNS {returned} LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE"
        f" AS $planned$ BEGIN RETURN {body}; END $planned$"
    )
    # It tells a session what that session has said itself.
    op.execute(f"GRANT EXECUTE ON FUNCTION {SCHEMA}.{name}() TO PUBLIC")


def downgrade() -> None:
    # With the walls that call them; `migrate` puts those up again.
    for name in ("planned_tenant_ids", "planned_tenants"):
        op.execute(f"DROP FUNCTION {SCHEMA}.{name}() CASCADE")
