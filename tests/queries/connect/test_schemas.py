"""Schemas in the manner of real applications, connected with --yes or a short answers file: every figure equals its
recount from plain facts."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from dashboard import services
from queries import migrations
from queries.connect import catalog
from queries.connect.answers import Answers, answers_of
from queries.connect.checking import check
from queries.connect.proposing import Proposal, propose
from queries.connect.samples import Peek, Rows
from queries.connect.shape import Shape
from queries.mapping import load_mapping, written
from queries.settings import Settings
from tests.conftest import READER, Server
from tests.queries.connect.recount import agrees
from tests.queries.connect.schemas import SCHEMAS
from tests.queries.connect.schemas.making import Schema, may_create_schemas
from tests.queries.connect.world import NOW, world


def with_yes(shape: Shape, peek: Peek, answers: Answers) -> Proposal:
    """What --yes comes to."""
    proposal = propose(shape, peek, answers)
    while proposal.questions:
        for question in proposal.questions:
            assert question.best is not None, question.text
            answers = answers.also(question.path, question.best)
        proposal = propose(shape, peek, answers)
    return proposal


@pytest.fixture
def held(server: Server, tmp_path: Path) -> Iterator[Any]:
    """Builds services of a mapping, or behind the walls of it and as the reader of these alone; closes them."""
    made: list[services.Services] = []

    def build(text: str, url: str, *, walled: bool) -> services.Services:
        path = tmp_path / "usage-dashboard.toml"
        path.write_text(text, encoding="utf-8")
        if walled:
            migrations.upgrade(url, load_mapping(path))
            url = server.url(urlsplit(url).path.removeprefix("/"), READER)
        settings = Settings(database_url=url, mapping_file=path, pool_size=2)  # type: ignore[arg-type]
        made.append(services.build(settings, is_demo=True))
        assert made[-1].database.tables().walled == walled
        return made[-1]

    yield build
    for one in made:
        one.close()


@pytest.fixture
def own_url(empty_database_url: str, server: Server) -> str:
    """An empty database of the test's own, as a role that may make schemas in it."""
    with server.superuser(urlsplit(empty_database_url).path.removeprefix("/")) as connection:
        may_create_schemas(connection)
    return empty_database_url


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda one: one.name)
def test_the_figures_of_a_connected_database_equal_a_recount(
    schema: Schema, own_url: str, held: Any, tmp_path: Path
) -> None:
    with psycopg.connect(own_url) as connection:
        expected = schema.make(connection, world())
    with psycopg.connect(own_url, autocommit=True) as connection:
        connection.execute("ANALYZE")
    with catalog.opened(own_url) as connection:
        shape, peek = catalog.read_shape(connection), Rows(connection)
        proposal = with_yes(shape, peek, answers_of(schema.answers))
        again = with_yes(catalog.read_shape(connection), Rows(connection), answers_of(schema.answers))
    text = written(proposal.mapping())
    assert written(again.mapping()) == text
    built = held(text, own_url, walled=schema.walled)
    assert built.database.mapping == proposal.mapping()
    agrees(built, expected)
    checked = check(own_url, load_mapping(tmp_path / "usage-dashboard.toml"), now=NOW)
    assert checked.works, [one for one in checked.pages if not one.works]
    assert checked.tenants == len(expected.names)


def test_what_prisma_makes_by_default_needs_no_mapping(app_url: str) -> None:
    with catalog.opened(app_url) as connection:
        proposal = with_yes(catalog.read_shape(connection), Rows(connection), Answers())
    assert written(proposal.mapping()) == ""
