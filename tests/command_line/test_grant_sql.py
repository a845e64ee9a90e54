"""`python -m dashboard grant-sql` and `migrate --sql`: what is printed is SQL, and nothing is run."""

from pathlib import Path
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner, Result

from dashboard.cli import app
from queries.errors import UsageDashboardError

ADDRESS = "postgresql://{}:s3cret-word@db.example:5432/app"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    monkeypatch.chdir(tmp_path)

    def ran(*arguments: str, **environment: str) -> Result:
        for name in ("DATABASE_URL", "DIRECT_URL", "MAPPING_FILE"):
            monkeypatch.delenv(name, raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return CliRunner().invoke(app, list(arguments))

    return ran


def test_without_a_direct_address_the_mapped_columns_are_given(run: Any) -> None:
    done = run("grant-sql")
    assert done.exit_code == 0
    assert (
        'GRANT SELECT ("id", "name", "createdAt") ON "public"."Organization" TO "usage_dashboard_reader";'
        in done.stdout
    )
    assert "One\n-- wall between tenants is missing then." in done.stdout
    assert '"Organization" TO "analyst"' in run("grant-sql", "--role", "analyst").stdout


def test_with_one_its_role_is_given_what_the_views_read_and_no_secret_is_printed(run: Any) -> None:
    done = run("grant-sql", DIRECT_URL=ADDRESS.format("keeper"), DATABASE_URL=ADDRESS.format("reader"))
    assert '"Generation" TO "keeper";' in done.stdout
    assert '"Generation" TO "usage_dashboard_reader";' not in done.stdout
    assert "s3cret" not in done.stdout
    assert "db.example" not in done.stdout


def test_the_role_of_the_direct_address_is_no_reader(run: Any) -> None:
    refused = run("grant-sql", "--role", "keeper", DIRECT_URL=ADDRESS.format("keeper"))
    assert isinstance(refused.exception, UsageDashboardError)
    assert "name another one by --role" in refused.exception.message


def test_a_select_needs_the_database_that_knows_its_columns(run: Any, tmp_path: Path, app_url: str) -> None:
    (tmp_path / "usage-dashboard.toml").write_text(
        '[tables.image]\nselect = \'\'\'SELECT i.id AS id, i."organizationId" AS tenant_id, i."createdAt" AS'
        " created_at, i.width AS size_bytes FROM public.\"Image\" AS i'''\n",
        encoding="utf-8",
    )
    refused = run("grant-sql")
    assert isinstance(refused.exception, UsageDashboardError)
    assert "set DATABASE_URL" in refused.exception.message
    done = run("grant-sql", DATABASE_URL=app_url)
    assert done.exit_code == 0, done.exception
    assert 'GRANT SELECT ("id", "organizationId", "width", "createdAt") ON "public"."Image"' in done.stdout
    # The role of DIRECT_URL is one that this SQL is to make: nobody can be it yet.
    host = app_url.partition("@")[2]
    unmade = f"postgresql://usage_dashboard_keeper@{host}"
    assert run("grant-sql", DATABASE_URL=app_url, DIRECT_URL=unmade).exit_code == 0
    nobody = run("grant-sql", DATABASE_URL=unmade, DIRECT_URL=unmade)
    assert isinstance(nobody.exception, UsageDashboardError)
    assert "set DATABASE_URL to a role that may read the tables, such as their owner" in nobody.exception.message


def test_a_role_that_may_not_look_into_the_schema_is_told_so(
    run: Any, superuser_url: str, reader_url: str, tmp_path: Path
) -> None:
    with psycopg.connect(superuser_url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA studio CREATE TABLE render (id text, company text, made timestamptz)")
    (tmp_path / "usage-dashboard.toml").write_text(
        "[tables.image]\nselect = 'SELECT id, company AS tenant_id, made AS created_at FROM studio.render'\n",
        encoding="utf-8",
    )
    refused = run("grant-sql", DATABASE_URL=reader_url)
    assert isinstance(refused.exception, UsageDashboardError), refused.exception
    assert "may not read this" in refused.exception.message


def test_migrate_prints_and_changes_nothing(run: Any, owner_url: str) -> None:
    with psycopg.connect(owner_url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA usage_dashboard CASCADE")
        done = run("migrate", "--sql", DIRECT_URL=owner_url)
        assert done.exit_code == 0, done.exception
        assert done.stdout.startswith("BEGIN;\n\nCREATE SCHEMA IF NOT EXISTS usage_dashboard;")
        assert done.stdout.endswith("COMMIT;\n")
        assert connection.execute("SELECT to_regnamespace('usage_dashboard')").fetchone() == (None,)
    refused = run("migrate", "--sql", "--no-walls", DIRECT_URL=owner_url)
    assert isinstance(refused.exception, UsageDashboardError)


def test_migrate_gives_the_views_to_the_role_of_database_url(run: Any, owner_url: str, app_url: str) -> None:
    assert run("migrate", DIRECT_URL=owner_url, DATABASE_URL=app_url).exit_code == 0
    with psycopg.connect(app_url) as connection:
        connection.execute("SELECT set_config('usage_dashboard.tenants', 'all', true)")
        assert connection.execute("SELECT count(*) > 0 FROM usage_dashboard.app_generation").fetchone() == (True,)


def test_what_the_role_of_the_direct_address_may_not_do_leads_to_the_grants(
    run: Any, reader_url: str, owner_url: str
) -> None:
    with psycopg.connect(owner_url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA usage_dashboard CASCADE")
    refused = run("migrate", DIRECT_URL=reader_url)
    assert isinstance(refused.exception, UsageDashboardError), refused.exception
    assert "the role of DIRECT_URL may not do this (permission denied" in refused.exception.message
    assert "grant-sql" in refused.exception.message
