"""Alembic's entry: runs the versions on the connection that `upgrade` hands over, or writes them down for
`upgrade_sql`."""

from alembic import context

from queries.tables import OUR_SCHEMA

if context.is_offline_mode():
    context.configure(dialect_name="postgresql", literal_binds=True, version_table_schema=OUR_SCHEMA)
else:
    context.configure(connection=context.config.attributes["connection"], version_table_schema=OUR_SCHEMA)
with context.begin_transaction():
    context.run_migrations()
