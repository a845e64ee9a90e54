"""Files of a world's rows, of the small demo, and of rows that are given."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pytest
from pydantic import SecretStr

from queries.database import Database
from queries.exports.copying import Made
from queries.exports.reports import Order
from queries.scope import Scope
from queries.settings import Settings
from tests.conftest import READER, Server
from tests.queries.catalog.conftest import (  # noqa: F401 - fixtures
    engine,
    open_world,
    shaped_tables,
    shaped_url,
    superuser_engine,
)

OpenDatabase = Callable[[str], Database]
NOW = datetime(2026, 6, 15, 10, 30, tzinfo=UTC)
ALL = Scope.all_tenants()
# What breaks files: separators, quotes, ends of lines, formulas, what is nearly one, and texts that mean something.
HOSTILE = (
    *("a,b", 'a"b', '"', "a\nb", "a\r\nb", "\r", "'", "''", "'=1", "=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\nx", ""),
    *(
        "\uff1d1",
        "\uff0b1",
        "\uff0d1",
        "\uff20x",
        "NULL",
        "\\N",
        "\\.",
        "null",
        "nan",
        " x ",
        "_x000D_",
        "_x",
        "<b>&amp;",
    ),
    *("\x01\x1f", "\ufeffx", "\ufffe", "\u202egnp.exe", "ö€😀", "😀" * 9, "1e5", "2026-06-01", "=" * 40, "x" * 5_000),
)


def order_of(report: str, first: date, last: date, **how: Any) -> Order:
    given = {"scope": ALL, "zone": "Europe/Berlin", "now": NOW, **how}
    return Order(report, first=first, last=last, **given)


def made_of(names: Sequence[str], **columns: Sequence[Any]) -> Made:
    """Rows of the report of tenants: these columns, and nothing in the others."""
    from queries.exports.parquet_file import types_of
    from queries.exports.reports import REPORTS

    types = types_of(REPORTS["tenants"], {"credits_left": 2})
    given = {"tenant": names, "tenant_id": [f"t{place}" for place in range(len(names))], **columns}
    table = {name: pa.array(given.get(name, [None] * len(names)), kind) for name, kind in types.items()}
    return Made(pa.table(table), NOW)


@pytest.fixture(scope="session")
def open_database(server: Server) -> Iterator[OpenDatabase]:
    """A Database as the reader role."""
    opened: list[Database] = []

    def open_(name: str) -> Database:
        defaults = {key: one.default for key, one in Settings.model_fields.items()}
        url = SecretStr(server.url(name, READER))
        opened.append(Database(Settings.model_validate({**defaults, "database_url": url})))
        return opened[-1]

    yield open_
    for one in opened:
        one.close()


@pytest.fixture(scope="session")
def demo(shared_database: str, open_database: OpenDatabase) -> Database:
    """The small demo, only read."""
    return open_database(shared_database)


@pytest.fixture
def own(database_name: str, open_database: OpenDatabase) -> Database:
    """The small demo, the test's own."""
    return open_database(database_name)
