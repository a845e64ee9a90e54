"""Our own schema: made, made again, taken back; the application's tables stay as they are."""

from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from alembic import command

from queries import migrations
from queries.database import Database, driver_url
from queries.mapping import load_mapping
from queries.settings import Settings

AGGREGATES = tuple(f"{before}{name}" for before in ("", "our_") for name in ("usage_", "ledger_", "latency_"))


def application_objects(url: str) -> list[tuple[Any, ...]]:
    """Every relation of the application with its definition as far as the catalog tells."""
    with psycopg.connect(url) as connection:
        return connection.execute(
            "SELECT c.oid, c.relname, c.relkind, c.relacl::text, a.attname, a.atttypid, a.attnotnull FROM pg_class c"
            " LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0"
            " WHERE c.relnamespace = 'public'::regnamespace ORDER BY c.oid, a.attnum"
        ).fetchall()


def our_objects(url: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(
            "SELECT c.oid, c.relname, c.relkind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE n.nspname = 'usage_dashboard' ORDER BY c.relname"
        ).fetchall()


def test_running_it_twice_changes_nothing(owner_url: str, superuser_url: str) -> None:
    before = application_objects(superuser_url), our_objects(superuser_url)
    assert before[1]
    assert migrations.upgrade(owner_url) == migrations.Made(schema=False, tables=(), walls=(), newer=False)
    assert (application_objects(superuser_url), our_objects(superuser_url)) == before


def test_it_can_be_taken_back_and_made_again(owner_url: str, superuser_url: str) -> None:
    before = application_objects(superuser_url)
    engine = sa.create_engine(driver_url(owner_url), poolclass=sa.NullPool)
    configuration = migrations.alembic_configuration()
    with engine.begin() as connection:
        configuration.attributes["connection"] = connection
        command.downgrade(configuration, "base")
    assert "query_log" not in {name for _, name, _ in our_objects(superuser_url)}
    migrations.upgrade(owner_url)
    assert "query_log" in {name for _, name, _ in our_objects(superuser_url)}
    assert application_objects(superuser_url) == before


def test_another_mapping_renews_the_walls_and_the_old_ones_are_not_used(
    owner_url: str, reader_url: str, app_url: str, tmp_path: Path
) -> None:
    path = tmp_path / "mapping.toml"
    path.write_text('[tables.generation]\ncolumns = { prompt = "text" }\n', encoding="utf-8")
    with psycopg.connect(app_url) as connection:
        connection.execute('ALTER TABLE "Generation" RENAME COLUMN prompt TO text')
    remapped = Database(Settings(database_url=reader_url, mapping_file=path))  # type: ignore[arg-type]
    with remapped.reader.connect() as connection:
        from queries.database import walls_stand

        assert not walls_stand(connection, remapped.mapping)
    made = migrations.upgrade(owner_url, load_mapping(path))
    assert (made.schema, made.tables, "app_generation" in made.walls) == (False, (), True)
    assert remapped.tables().walled
    remapped.close()
    with psycopg.connect(reader_url) as connection, pytest.raises(psycopg.errors.UndefinedColumn):
        connection.execute("SELECT prompt FROM usage_dashboard.app_generation")


def test_the_application_can_drop_a_column_while_the_walls_are_down(owner_url: str, app_url: str) -> None:
    with psycopg.connect(app_url) as connection, pytest.raises(psycopg.errors.DependentObjectsStillExist):
        connection.execute('ALTER TABLE "Generation" DROP COLUMN prompt')
    migrations.remove_walls(owner_url)
    with psycopg.connect(app_url) as connection:
        connection.execute('ALTER TABLE "Generation" ALTER COLUMN prompt TYPE varchar(500)')
    migrations.upgrade(owner_url)
    assert any(name == "app_generation" for _, name, _ in our_objects(owner_url))


def test_the_reader_role_can_read_the_walls_and_write_nothing(reader_url: str, superuser_url: str) -> None:
    with psycopg.connect(superuser_url) as connection:
        granted = connection.execute(
            "SELECT table_schema, table_name, privilege_type FROM information_schema.role_table_grants"
            " WHERE grantee = 'usage_dashboard_reader' AND table_name !~ '^pg_'"
        ).fetchall()
    assert granted
    assert {(schema, privilege) for schema, _, privilege in granted} == {("usage_dashboard", "SELECT")}


def test_what_would_be_run_is_printed_and_is_what_is_run(owner_url: str, reader_url: str, superuser_url: str) -> None:
    """As somebody else runs it: from nothing to the same schema, rights and walls as by `upgrade`."""
    before = our_objects(superuser_url)
    there = migrations.upgrade_sql(owner_url)
    assert "CREATE TABLE" not in there
    assert "CREATE VIEW" not in there
    assert our_objects(superuser_url) == before, "printing changes nothing"

    engine = sa.create_engine(driver_url(owner_url), poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP SCHEMA usage_dashboard CASCADE")
    written = migrations.upgrade_sql(owner_url)
    assert our_objects(superuser_url) == []
    with psycopg.connect(owner_url, autocommit=True) as connection:
        connection.execute(written.encode())
    names = {(name, kind) for _, name, kind in our_objects(superuser_url)}
    assert names == {(name, kind) for _, name, kind in before if not name.startswith(AGGREGATES)}
    made = our_objects(superuser_url)
    migrations.upgrade(owner_url)
    assert our_objects(superuser_url) == made, "there was nothing left to do"
    assert "BEGIN;\n\nGRANT USAGE" in migrations.upgrade_sql(owner_url)
    database = Database(Settings(database_url=reader_url))  # type: ignore[arg-type]
    assert database.tables().walled
    database.close()
