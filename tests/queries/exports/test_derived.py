"""Files of derived tables: the rows and sums of plain tables that hold the same."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa

from queries.exports.reports import Order
from queries.scope import Scope
from tests.queries.catalog.layouts import CODES, LAYOUTS, PLAIN, Layout, lay_out, layout_mapping, seen_by
from tests.queries.catalog.layouts import rows_in as world_in
from tests.queries.catalog.world import made_world
from tests.queries.exports.test_figures import file_of, read, rows_in

NOW = datetime(2025, 6, 15, 10, 30, tzinfo=UTC)
REPORTS = ("credit-statement", "usage-lines", "ledger", "generations")


def plain(rows: Iterable[dict[str, str]]) -> list[dict[str, str]]:
    """Rows of a file as they compare over layouts: a status by its name, a duration in whole milliseconds."""
    names = {str(code): name for name, code in CODES.items()}
    return [
        {
            **one,
            **({"status": names.get(one["status"], one["status"])} if "status" in one else {}),
            **({"duration_ms": f"{Decimal(one['duration_ms']):.0f}"} if one.get("duration_ms") else {}),
        }
        for one in rows
    ]


@pytest.mark.parametrize("walled", [False, True], ids=["open", "walled"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_file_of_derived_tables_is_that_of_plain_ones(
    superuser_engine: sa.Engine, layout: Layout, walled: bool
) -> None:
    world = made_world(21, PLAIN[layout], NOW - timedelta(days=3), rows=60)
    scope = Scope.of([str(one.id) for one in world.tenants[:2]])
    period = {"first": date(2025, 6, 1), "last": date(2025, 6, 30), "zone": "Europe/Berlin", "now": NOW}
    orders = [Order(one, scope=scope, dialect="plain", guarded=False, **period) for one in REPORTS]  # type: ignore[arg-type]
    with world_in(superuser_engine, PLAIN[layout], world) as (connection, tables):
        wanted = [file_of(rows_in(connection, tables, one), one) for one in orders]
        counts = [rows_in(connection, tables, one).counted() for one in orders]
        lay_out(connection, layout)
        with seen_by(connection, layout_mapping(layout), scope, walled=walled) as derived:
            for order, (data, sums, rows), counted in zip(orders, wanted, counts, strict=True):
                source = rows_in(connection, replace(derived, history=None), order)
                found, found_sums, found_rows = file_of(source, order)
                assert rows > 0
                assert (found_rows, found_sums) == (rows, sums)
                assert plain(read(found)) == plain(read(data)), order.report
                assert source.counted() == counted
