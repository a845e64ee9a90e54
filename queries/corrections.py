"""Corrections: what was posted into closed months after they were closed, written down when it is found.

The statement itself needs none of it (queries/catalog/rollforward.py); this says since when a correction is known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from queries.catalog.rollforward import next_month
from queries.catalog.statements import kind_sums
from queries.catalog.sums import text
from queries.period import local_midnight
from queries.tables import (
    CLOSED_STATEMENT_COLUMNS,
    CORRECTION_COLUMNS,
    OUR_SCHEMA,
    STATEMENT_KINDS,
    Tables,
    instant,
)

# For whoever writes corrections, before anything is read: two at once would write the same ones.
HOLD_CORRECTIONS = f"LOCK TABLE {OUR_SCHEMA}.correction IN EXCLUSIVE MODE"

CORRECTION = sa.table(
    "correction", *(sa.column(name, type_) for name, type_ in CORRECTION_COLUMNS.items()), schema=OUR_SCHEMA
)
_FROZEN = sa.table(
    "closed_statement", *(sa.column(name, type_) for name, type_ in CLOSED_STATEMENT_COLUMNS.items()), schema=OUR_SCHEMA
)
_MONTH = sa.table("closed_month", sa.column("month", sa.Date), sa.column("zone", sa.Text), schema=OUR_SCHEMA)
_Sums = Mapping[tuple[str, str], Decimal]


def write_corrections(connection: sa.Connection, tables: Tables, zone: str, at: datetime) -> int:
    """Write down what the ledger up to the end of the last closed month says more or less than when it was closed, by
    tenant and kind, as far as it is not written down yet; how many of these."""
    last = connection.scalar(sa.select(sa.func.max(_MONTH.c.month)).where(_MONTH.c.zone == zone))
    if last is None:
        return 0
    found = list(_found(connection, tables, last, zone))
    if found:
        common = {"month": last, "zone": zone, "found_at": at}
        connection.execute(sa.insert(CORRECTION), [{**one, **common} for one in found])
    return len(found)


def _found(connection: sa.Connection, tables: Tables, last: date, zone: str) -> Iterator[dict[str, Any]]:
    now = _by_kind(connection, sums_to_date(tables, local_midnight(next_month(last), zone)))
    columns = (_FROZEN.c.tenant_id, *(_FROZEN.c[f"to_date_{one}"] for one in STATEMENT_KINDS))
    frozen = _by_kind(connection, sa.select(*columns).where(_FROZEN.c.month == last))
    known = _written(connection, last)
    for key in sorted({*now, *frozen}):
        credits = now.get(key, 0) - frozen.get(key, 0) - known.get(key, 0)
        if credits:
            yield {"tenant_id": key[0], "kind": key[1], "credits": credits}


def sums_to_date(tables: Tables, end: datetime) -> sa.Select[Any]:
    """tenant_id, to_date_<kind>: the sums of all movements posted before `end`, with the signs that are shown."""
    ledger, tenant = tables.credit_transaction, text(tables.credit_transaction.c.tenant_id)
    sums = [one.label(f"to_date_{kind}") for kind, one in kind_sums(tables).items()]
    before = ledger.c.created_at < instant(ledger.c.created_at, end)
    return sa.select(tenant.label("tenant_id"), *sums).where(before).group_by(tenant)


def _by_kind(connection: sa.Connection, select: sa.Select[Any]) -> _Sums:
    rows = connection.execute(select).mappings()
    return {
        (row["tenant_id"], kind): Decimal(row[f"to_date_{kind}"])
        for row in rows
        if row["tenant_id"] is not None  # rows of no tenant
        for kind in STATEMENT_KINDS
    }


def _written(connection: sa.Connection, month: date) -> _Sums:
    key = CORRECTION.c.tenant_id, CORRECTION.c.kind
    sums = sa.select(*key, sa.func.sum(CORRECTION.c.credits)).where(CORRECTION.c.month == month).group_by(*key)
    return {(tenant, kind): credits for tenant, kind, credits in connection.execute(sums)}
