"""Questions about credits, from the ledger: a movement counts at the time it was posted."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from queries.catalog.gaps import every_bucket
from queries.catalog.sums import burned_credits, is_burn, net_burn_credits, refunded_credits, summed
from queries.period import Period
from queries.query import catalog_query
from queries.scope import Scope
from queries.tables import Tables, bucket, within

# Shown as positive numbers although they are negative amounts; adjustments keep their sign.
_TAKEN = ("burned", "expired")
_MOVEMENTS = ("granted", "purchased", "burned", "refunded", "adjusted", "expired")


@catalog_query("credits.burn_over_time", finish=every_bucket)
def burn_over_time(tables: Tables, scope: Scope, *, period: Period) -> sa.Select[Any]:
    """bucket_start, gross_burn_credits, refunded_credits, net_burn_credits; every bucket that has begun, in order."""
    ledger = tables.credit_transaction
    start = bucket(ledger.c.created_at, period)
    return (
        sa.select(
            start.label("bucket_start"),
            burned_credits(tables).label("gross_burn_credits"),
            refunded_credits(tables).label("refunded_credits"),
            net_burn_credits(tables).label("net_burn_credits"),
        )
        .where(scope.predicate(ledger.c.tenant_id), within(ledger.c.created_at, period), is_burn(tables))
        .group_by(start)
    )


@catalog_query("credits.movements", finish=every_bucket)
def movements(tables: Tables, scope: Scope, *, period: Period) -> sa.Select[Any]:
    """bucket_start, granted, purchased, burned, refunded, adjusted, expired, in credits; every bucket that has begun.

    opening + purchased + granted + refunded + adjusted - burned - expired = closing.
    """
    ledger = tables.credit_transaction
    start = bucket(ledger.c.created_at, period)
    sums = [
        summed(
            -ledger.c.amount if one in _TAKEN else ledger.c.amount, tables.has(ledger.c.type, "transaction_type", one)
        ).label(one)
        for one in _MOVEMENTS
    ]
    return (
        sa.select(start.label("bucket_start"), *sums)
        .where(scope.predicate(ledger.c.tenant_id), within(ledger.c.created_at, period))
        .group_by(start)
    )
