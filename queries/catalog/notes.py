"""Questions about the notes that people pin to a tenant and a day."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import sqlalchemy as sa

from queries.catalog.sums import text
from queries.period import Period
from queries.query import catalog_query
from queries.scope import Scope
from queries.tables import Tables

# As many as a list is read and a chart can carry.
NOTES_SHOWN = 100


@catalog_query("notes.pinned", freshness="live")
def pinned(tables: Tables, scope: Scope, *, period: Period, version: str = "") -> sa.Select[Any]:
    """note_id, tenant_id, tenant (null where there is none any more), day, text, author: the notes of the period's
    local days, the latest day first; the newest 100. Another `version` is another question: whoever has written asks
    it."""
    del version
    note, tenant = tables.note, tables.organization
    of_note = sa.and_(text(tenant.c.tenant_id) == note.c.tenant_id, scope.predicate(tenant.c.tenant_id))
    first, end = _days(period)
    return (
        sa.select(
            note.c.id.label("note_id"),
            note.c.tenant_id.label("tenant_id"),
            tenant.c.name.label("tenant"),
            note.c.day.label("day"),
            note.c.text.label("text"),
            note.c.author.label("author"),
        )
        .select_from(note.outerjoin(tenant, of_note))
        .where(scope.predicate(note.c.tenant_id), note.c.day >= first, note.c.day < end)
        .order_by(note.c.day.desc(), note.c.id.desc())
        .limit(NOTES_SHOWN)
    )


def _days(period: Period) -> tuple[date, date]:
    """The local days from the first up to, and without, the end; none for an empty period."""
    days = 1 if period.end > period.start else 0
    return period.first_date, period.last_date + timedelta(days=days)
