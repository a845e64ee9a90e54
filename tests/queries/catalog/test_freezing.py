"""What a closing writes down, counted over plain rows: random ledgers, every shape of the tables, hostile zones."""

import random
import uuid
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from queries.closing import _MONTH, _STATEMENT, _freeze_statement
from queries.corrections import CORRECTION, write_corrections
from queries.database import ALL_TENANTS, TENANTS_SETTING
from queries.tables import STATEMENT_KINDS, Tables, default_history, instant
from tests.queries.catalog.conftest import OpenWorld
from tests.queries.catalog.world import HOSTILE_ZONES, SHAPES, Movement, Shape, made_world

KINDS = {
    "PURCHASE": "purchased",
    "GRANT": "granted",
    "REFUND": "refunded",
    "ADJUSTMENT": "adjusted",
    "CHARGE": "burned",
    "EXPIRY": "expired",
}
MARCH, APRIL = date(2025, 3, 1), date(2025, 4, 1)
# Clocks change in Havana and Beirut in March 2025; rows lie on both sides of the month's end.
CENTRE = datetime(2025, 3, 31, 22, tzinfo=UTC)
Sums = dict[tuple[str, str], Decimal]


def local_start(month: date, zone: str) -> datetime:
    return datetime(month.year, month.month, 1, tzinfo=ZoneInfo(zone)).astimezone(UTC)


def by_kind(movements: list[Movement], start: datetime | None, end: datetime) -> Sums:
    """The sums with the signs that are shown, those of 0 left out."""
    sums: Counter[tuple[str, str]] = Counter()
    for one in movements:
        if one.posted_at < end and (start is None or one.posted_at >= start):
            kind = KINDS[one.type]
            sums[str(one.tenant), kind] += -one.amount if kind in ("burned", "expired") else one.amount
    return {key: Decimal(value) for key, value in sums.items() if value}


def balance(sums: Sums, tenant: str) -> Decimal:
    taken = ("burned", "expired")
    return sum((-value if key[1] in taken else value for key, value in sums.items() if key[0] == tenant), Decimal(0))


def post(connection: sa.Connection, tables: Tables, movements: list[Movement]) -> None:
    ledger = tables.credit_transaction
    is_number = isinstance(ledger.c.id.type, sa.Integer)
    for number, one in enumerate(movements):
        fresh: Any = 10_000 + number if is_number else uuid.uuid4()
        row = {"tenant_id": one.tenant, "type": one.type, "amount": one.amount}
        row["created_at"] = instant(ledger.c.created_at, one.posted_at)
        row["id"] = fresh if isinstance(ledger.c.id.type, sa.Integer | sa.Uuid) else str(fresh)
        connection.execute(sa.insert(ledger).values({ledger.c[key]: value for key, value in row.items()}))


@pytest.mark.parametrize("shape", SHAPES)
@settings(max_examples=30)
@given(seed=st.integers(0, 10_000), zone=st.sampled_from(("UTC", *HOSTILE_ZONES)), late=st.integers(0, 12))
def test_what_is_frozen_and_what_comes_later(
    open_world: OpenWorld, shape: Shape, seed: int, zone: str, late: int
) -> None:
    chance = random.Random(seed)
    world = made_world(seed, shape, CENTRE, rows=chance.choice((0, 5, 80)), days=45)
    start, end = local_start(MARCH, zone), local_start(APRIL, zone)
    now = end + timedelta(days=2)
    with open_world(shape, world, "Pacific/Chatham") as (connection, tables):
        connection.execute(sa.select(sa.func.set_config(TENANTS_SETTING, ALL_TENANTS, True)))
        tables = replace(tables, history=default_history())
        assert write_corrections(connection, tables, zone, now) == 0  # nothing is closed yet
        _freeze_statement(connection, tables, MARCH, zone, now)
        closing = {"month": MARCH, "zone": zone, "closed_at": now, "closed_by": "Ada", "as_of": now, "reports": {}}
        connection.execute(sa.insert(_MONTH).values(closing))
        rows = connection.execute(sa.select(*_STATEMENT.c)).mappings().all()
        to_date, inside = by_kind(world.movements, None, end), by_kind(world.movements, start, end)
        before = by_kind(world.movements, None, start)
        found_to_date = {(row["tenant_id"], one): row[f"to_date_{one}"] for row in rows for one in STATEMENT_KINDS}
        assert {key: value for key, value in found_to_date.items() if value} == to_date
        found = {(row["tenant_id"], one): row[one] for row in rows for one in STATEMENT_KINDS}
        assert {key: value for key, value in found.items() if value} == inside
        for row in rows:
            assert row["opening"] == balance(before, row["tenant_id"])
            assert row["closing"] == balance(to_date, row["tenant_id"])
            assert (row["unexplained"], row["zone"], row["closed_at"]) == (0, zone, now)
        posted = made_world(seed + 1, shape, CENTRE, rows=late, days=45).movements
        tenants = [one.id for one in world.tenants]
        posted = [replace(one, tenant=chance.choice(tenants), user=None) for one in posted]
        post(connection, tables, posted)
        written = write_corrections(connection, tables, zone, now)
        assert write_corrections(connection, tables, zone, now + timedelta(days=1)) == 0
        kept = connection.execute(sa.select(*CORRECTION.c)).all()
        expected = by_kind(posted, None, end)
        assert {(one.tenant_id, one.kind): one.credits for one in kept} == expected
        assert written == len(kept) == len(expected)
        assert {(one.month, one.zone, one.found_at) for one in kept} <= {(MARCH, zone, now)}
