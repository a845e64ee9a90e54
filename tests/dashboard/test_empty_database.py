"""A database without the application's tables, and one that loses a column while pages are open: said on each page,
which needs no restart when they come."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import psycopg
import pytest

from dashboard import places, services
from demo.schema import create_schema
from queries.settings import Settings
from tests.conftest import APP, Server
from tests.dashboard.serving import until

# What these show comes from elsewhere than the application's tables.
OF_OUR_OWN = {"performance", "indexes", "plan", "audit", "access"}
READING = [one.name for one in places.PLACES if one.name not in OF_OUR_OWN]


@pytest.fixture
def own(demo: services.Services, empty_database_url: str) -> Iterator[services.Services]:
    """The services of a database of somebody's own, in place of the demo's."""
    held = services.build(Settings(database_url=empty_database_url), is_demo=True)  # type: ignore[arg-type]
    services.install(held)
    yield held
    services.install(demo)
    held.close()


def test_pages_over_an_empty_schema_say_which_table_is_missing_and_where_to_map_it(
    own: services.Services, open_app: Any, texts: Any, empty_database_url: str
) -> None:
    for page in READING:
        app = open_app("" if page == "tenants" else page)
        assert not app.exception, page
        # Without a tenant chosen, its page has nothing to ask.
        if page != "tenant":
            assert "is not in the database" in texts(app).replace("\\", ""), page
            assert "MAPPING" in texts(app), page
    with psycopg.connect(empty_database_url) as connection:
        create_schema(connection)
    # What has just failed is not asked again within two seconds.
    burn = partial(open_app, "burn", zone="Asia/Kathmandu")
    until(lambda: "is not in the database" not in texts(burn()), "the figures")
    assert not burn().exception


def test_a_column_that_goes_while_pages_are_open_is_named(
    demo: services.Services, open_app: Any, texts: Any, server: Server, database_name: str
) -> None:
    url = server.url(database_name, APP)
    held = services.build(Settings(database_url=url), is_demo=True)  # type: ignore[arg-type]
    services.install(held)
    try:
        assert len(open_app("burn").metric) == 5
        with psycopg.connect(url) as connection:
            connection.execute('ALTER TABLE "CreditTransaction" RENAME COLUMN amount TO credits')
        held.cache.clear()
        app = open_app("burn", zone="Asia/Kathmandu")
        assert not app.exception
        assert '"amount" of "public"."CreditTransaction" is not in the database' in texts(app).replace("\\", "")
        with psycopg.connect(url) as connection:
            connection.execute('ALTER TABLE "CreditTransaction" RENAME COLUMN credits TO amount')
        app = open_app("burn", zone="Europe/Berlin")
        assert len(app.metric) == 5
    finally:
        services.install(demo)
        held.close()
