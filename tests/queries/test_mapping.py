"""The mapping: Prisma by default, a file may say otherwise, and what is missing is named."""

from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from queries.database import driver_url
from queries.errors import MappingError
from queries.mapping import load_mapping, prisma_mapping
from queries.runner import Context
from queries.scope import Scope
from queries.tables import NaiveUtc, default_tables, reflected_tables
from tests.queries.asking import MakeServices


def written(folder: Path, text: str) -> Path:
    path = folder / "mapping.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_changes_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    path = written(tmp_path, '[tables.generation]\nname = "jobs"\ncolumns = { created_at = "made_at" }\n')
    mapping = load_mapping(path)
    assert mapping.tables["generation"].name == "jobs"
    assert mapping.tables["generation"].columns["created_at"] == "made_at"
    assert mapping.tables["generation"].columns["tenant_id"] == "organizationId"
    assert mapping.tables["user"] == prisma_mapping().tables["user"]
    assert mapping.digest != prisma_mapping().digest


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[tables.generations]\nname = 'x'", "generations"),
        ("[tables.generation]\ncolumns = { made = 'x' }", "made"),
        ("[values.colour]\nred = ['x']", "colour"),
        ("[tables.generation]\ncolumns = { prompt = 'model' }", "two columns of generation to 'model'"),
        ("tables = 3", "tables"),
        ("not toml at all", "mapping.toml"),
    ],
)
def test_what_a_file_gets_wrong_is_named(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(MappingError, match=named):
        load_mapping(written(tmp_path, text))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match=r"nowhere\.toml"):
        load_mapping(tmp_path / "nowhere.toml")


def test_the_default_types_are_those_of_the_demo(app_url: str) -> None:
    engine = sa.create_engine(driver_url(app_url), poolclass=sa.NullPool)
    with engine.connect() as connection:
        live = reflected_tables(connection, prisma_mapping(), walled=False)
    for logical, table in default_tables().all().items():
        for column in table.columns:
            of_catalog = getattr(live, logical).c[column.key].type
            assert type(of_catalog)._type_affinity is type(column.type)._type_affinity, f"{logical}.{column.key}"
    assert isinstance(live.generation.c.created_at.type, NaiveUtc)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ('ALTER TABLE "Generation" RENAME TO "Job"', ['"Generation"', r"\[tables.generation\] name"]),
        (
            'ALTER TABLE "UsageLimit" RENAME COLUMN "limit" TO "cap"',
            ['"limit"', r"\[tables.usage_limit\] columns.limit"],
        ),
    ],
)
def test_a_missing_table_or_column_is_named_with_the_setting_that_maps_it(
    make_services: MakeServices, app_url: str, change: str, named: list[str]
) -> None:
    with psycopg.connect(app_url) as connection:
        connection.execute(change)  # type: ignore[arg-type]  # a literal of this test
    services = make_services(database_url=app_url, direct_url=None)
    for part in [*named, "MAPPING_FILE"]:
        with pytest.raises(MappingError, match=part):
            services.database.tables()


def test_a_renamed_table_works_when_it_is_mapped(make_services: MakeServices, app_url: str, tmp_path: Path) -> None:
    from queries.catalog import usage

    with psycopg.connect(app_url) as connection:
        connection.execute('ALTER TABLE "Generation" RENAME TO "Job"')
        connection.execute('ALTER TABLE "Job" RENAME COLUMN "createdAt" TO "made at"')
    path = written(tmp_path, '[tables.generation]\nname = "Job"\ncolumns = { created_at = "made at" }\n')
    services = make_services(database_url=app_url, direct_url=None, mapping_file=path)
    scope = Scope.all_tenants()
    assert services.runner.run(usage.newest(scope), Context(scope)).frame["newest_at"].notna().all()
