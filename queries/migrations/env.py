"""Alembic's entry: runs the versions on the connection that `upgrade` hands over."""

from alembic import context

from queries.tables import OUR_SCHEMA

context.configure(connection=context.config.attributes["connection"], version_table_schema=OUR_SCHEMA)
with context.begin_transaction():
    context.run_migrations()
