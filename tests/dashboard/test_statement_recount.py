"""The demo's history reconciles: page, file, manifest and a plain recount of the raw rows say the same."""

import csv
import io
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import psycopg
import pytest

from dashboard import services
from dashboard.exports.making import run_of
from queries.catalog import statements
from queries.exports.manifest import Manifest
from queries.exports.reports import Order, month_bounds
from queries.runner import Context
from queries.scope import Scope
from tests.dashboard.conftest import DEMO_NOW
from tests.dashboard.test_statements import as_app, by_month, by_tenant, edited  # noqa: F401 - fixtures
from tests.dashboard.test_statements import demo as own_demo  # noqa: F401 - a fixture

ALL = Scope.all_tenants()
KINDS = {
    "PURCHASE": "purchased",
    "GRANT": "granted",
    "REFUND": "refunded",
    "ADJUSTMENT": "adjusted",
    "CHARGE": "burned",
    "EXPIRY": "expired",
}
MOVED = tuple(KINDS.values())
TAKEN = ("burned", "expired")
FIGURES = ("opening", *MOVED, "closing", "unexplained")
Rows = dict[tuple[str, date], dict[str, Any]]


@pytest.fixture
def demo(own_demo: services.Services) -> services.Services:  # noqa: F811 - the fixture
    return own_demo


@pytest.fixture
def raw(as_app: psycopg.Connection[Any]) -> tuple[list[Any], dict[str, int]]:  # noqa: F811 - the fixture
    """Every movement of the ledger, and every posted balance."""
    movements = as_app.execute(
        'SELECT "organizationId", type::text, amount, "createdAt" FROM "CreditTransaction"'
    ).fetchall()
    balances = as_app.execute('SELECT "organizationId", balance FROM "CreditBalance"').fetchall()
    return movements, dict(balances)


def recounted(movements: Sequence[Any], balances: dict[str, int], months: Sequence[date]) -> Rows:
    """The statement as it is defined, from nothing but the rows; no balance was written down, so what differs does so
    in the running month."""
    moved: defaultdict[str, Counter[tuple[date, str]]] = defaultdict(Counter)
    ledger: Counter[str] = Counter()
    for tenant, type_, amount, posted_at in movements:
        assert posted_at <= DEMO_NOW.replace(tzinfo=None)
        kind = KINDS[type_]
        moved[tenant][posted_at.date().replace(day=1), kind] += -amount if kind in TAKEN else amount
        ledger[tenant] += amount
    found: Rows = {}
    for tenant in {*moved, *balances}:
        at, began = 0, False
        for month in months:
            own = {kind: moved[tenant][month, kind] for kind in MOVED}
            off = balances.get(tenant, ledger[tenant]) - ledger[tenant] if month == months[-1] else 0
            closing = at + sum(-value if kind in TAKEN else value for kind, value in own.items()) + off
            began = began or any((key[0] == month) for key in moved[tenant]) or bool(off)
            if began:
                found[tenant, month] = {"opening": at, **own, "closing": closing, "unexplained": off}
            at = closing
    return found


def file_of(held: services.Services, months: Sequence[date]) -> tuple[list[dict[str, str]], Manifest]:
    bounds = {"first": months[0], "last": month_bounds(months[-1])[1]}
    order = Order("credit-statement", ALL, "UTC", now=DEMO_NOW, dialect="plain", guarded=False, **bounds)
    pieces: list[bytes] = []
    manifest = run_of(held, order, "recount").run(pieces.append)
    return list(csv.DictReader(io.StringIO(b"".join(pieces).decode(), newline=""))), manifest


def summed(rows: Rows, months: Sequence[date]) -> dict[date, dict[str, Any]]:
    return {
        month: {name: sum(row[name] for key, row in rows.items() if key[1] == month) for name in FIGURES}
        for month in months
    }


def test_page_file_manifest_and_a_recount_say_the_same_of_every_month_and_tenant(
    open_app: Any,
    demo: services.Services,
    edited: str,  # noqa: F811 - the fixture
    raw: tuple[list[Any], dict[str, int]],
) -> None:
    movements, balances = raw
    first = min(one[3] for one in movements).date().replace(day=1)
    months = [first]
    while month_bounds(months[-1])[1] < DEMO_NOW.date():
        months.append(month_bounds(months[-1])[1] + timedelta(days=1))
    assert len(months) > 2
    expected = recounted(movements, balances, months)

    # Everything reconciles but one tenant, by 250; and each month opens with what the one before closed with.
    assert {(key, row["unexplained"]) for key, row in expected.items() if row["unexplained"]} == {
        ((edited, months[-1]), 250)
    }
    for tenant in {key[0] for key in expected}:
        own = [expected[tenant, month] for month in months if (tenant, month) in expected]
        assert own[0]["opening"] == 0
        assert own[-1]["closing"] == balances[tenant]
        assert all(before["closing"] == after["opening"] for before, after in pairwise(own))

    # The statement's rows.
    with demo.database.reading(ALL, 60) as connection:
        select = statements.statement_rows(demo.database.tables(), ALL, months=tuple(months), zone="UTC", now=DEMO_NOW)
        rows = [dict(one) for one in connection.execute(select).mappings()]
    assert {(one["tenant_id"], one["month"]): {name: one[name] for name in FIGURES} for one in rows} == expected
    assert {one["tenant"] for one in rows if one["unexplained"]} == {"Saltmarsh Studios"}

    # The totals that the page shows, all months and each alone.
    totals = summed(expected, months)
    span = {"period": "Custom", "from": str(months[0]), "to": str(DEMO_NOW.date())}
    app = open_app("statements", **span)
    assert not app.exception
    assert not app.error
    shown = {one["month"]: one for one in by_month(app).to_dict("records")}
    for month in months:
        assert {name: shown[month][name] for name in FIGURES} == totals[month], month
    assert by_tenant(app).iloc[0][["month", "unexplained"]].tolist() == [months[-1], 250]
    asked = statements.monthly(
        ALL,
        months=tuple(months),
        zone="UTC",
        now=DEMO_NOW,
        search="",
        differing=False,
        sort="tenant",
        descending=False,
        offset=0,
        limit=1,
    )
    row = demo.runner.run(asked, Context(ALL)).frame.iloc[0]
    moved = {name: sum(one[name] for one in totals.values()) for name in (*MOVED, "unexplained")}
    assert {name: row[f"all_{name}"] for name in moved} == moved
    assert (row["all_opening"], row["all_closing"]) == (totals[months[0]]["opening"], totals[months[-1]]["closing"])

    # The file, its sums and its manifest's, all months and each alone.
    for part in (months, *([month] for month in months)):
        lines, manifest = file_of(demo, part)
        found = {
            (one["tenant_id"], date.fromisoformat(one["month"])): {name: Decimal(one[name]) for name in FIGURES}
            for one in lines
        }
        assert found == {key: one for key, one in expected.items() if key[1] in part}
        sums = {name: sum(totals[month][name] for month in part) for name in FIGURES}
        assert {name: Decimal(value) for name, value in manifest.sums.items()} == sums
        assert {name: sum(Decimal(one[name]) for one in lines) for name in FIGURES} == sums
        assert (manifest.rows, list(manifest.differences)) == (len(lines), [])
