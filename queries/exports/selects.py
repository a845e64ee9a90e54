"""The rows of each report that the database has, with the columns' names in their order.

A row counts at the time it was made or posted, within `[period.start, period.until)`. Times are `timestamptz` here and
become text or typed values when they are written.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from queries.catalog import statements
from queries.catalog.generations import IMAGE_SLACK
from queries.catalog.sums import counted, summed, summed_again, text
from queries.exports.late import OF_PERIOD, late_movements
from queries.scope import Scope
from queries.tables import OUR_SCHEMA, AwareTime, Tables, aware, instant, within

if TYPE_CHECKING:
    from queries.exports.reports import Order

# No tenant stands in it: who may read it may read all of it.
_QUERY_LOG = sa.Table(
    "query_log",
    sa.MetaData(),
    sa.Column("id", sa.BigInteger()),
    sa.Column("at", AwareTime()),
    *(sa.Column(one, sa.Text()) for one in ("query", "fingerprint", "parameters_hash", "page", "run_id", "role")),
    sa.Column("outcome", sa.Text()),
    *(sa.Column(one, sa.Double()) for one in ("wait_ms", "database_ms", "fetch_ms", "frame_ms", "cache_ms")),
    sa.Column("rows", sa.BigInteger()),
    sa.Column("slow", sa.Boolean()),
    *(sa.Column(one, sa.Text()) for one in ("error", "reference", "asked_by", "plan_hash")),
    schema=OUR_SCHEMA,
    info={"tenant_keyed": False, "logical": "query_log"},
)
# The same holds for the audit, which is for administrators.
_AUDIT = sa.Table(
    "audit",
    sa.MetaData(),
    sa.Column("id", sa.BigInteger()),
    sa.Column("at", AwareTime()),
    *(sa.Column(one, sa.Text()) for one in ("who", "role", "action")),
    sa.Column("subject", postgresql.JSONB()),
    schema=OUR_SCHEMA,
    info={"tenant_keyed": False, "logical": "audit"},
)


def credit_statement(tables: Tables, scope: Scope, order: Order) -> sa.Select[Any]:
    """The roll-forward as the Statements page has it, read from the rows: aggregates may be behind for movements that
    are posted with an old date, and a file is right when it is made."""
    return statements.statement_rows(
        replace(tables, aggregates=None), scope, months=order.months, zone=order.zone, now=order.now
    )


def usage_lines(tables: Tables, scope: Scope, order: Order) -> sa.Select[Any]:
    """Generations of any status by tenant, local day, type and model, with their images and the credits that they were
    charged or reserved; refunds stand in the ledger."""
    rows, image, tenant = tables.generation, tables.image, tables.organization
    period = order.period
    images = (
        sa.select(image.c.tenant_id, image.c.generation_id, counted().label("images"))
        .where(
            scope.predicate(image.c.tenant_id),
            # An image is made after its generation.
            image.c.created_at >= instant(image.c.created_at, period.start - IMAGE_SLACK),
        )
        .group_by(image.c.tenant_id, image.c.generation_id)
        .cte("images")
    )
    of_row = sa.and_(images.c.generation_id == rows.c.id, images.c.tenant_id == rows.c.tenant_id)
    keys = {
        "tenant_id": rows.c.tenant_id,
        "date": _local_date(aware(rows.c.created_at), order.zone),
        "type": rows.c.type,
        "model": rows.c.model,
    }
    lines = (
        sa.select(
            *(value.label(name) for name, value in keys.items()),
            counted().label("generations"),
            summed_again(images.c.images).label("images"),
            summed(rows.c.credits_used).label("credits"),
        )
        .select_from(rows.outerjoin(images, of_row))
        .where(scope.predicate(rows.c.tenant_id), within(rows.c.created_at, period))
        .group_by(*keys.values())
        .cte("lines")
    )
    of_tenant = sa.and_(tenant.c.tenant_id == lines.c.tenant_id, scope.predicate(tenant.c.tenant_id))
    return (
        sa.select(
            text(lines.c.tenant_id).label("tenant_id"),
            tenant.c.name.label("tenant"),
            lines.c.date,
            sa.literal(order.zone, sa.Text()).label("zone"),
            text(lines.c.type).label("type"),
            text(lines.c.model).label("model"),
            lines.c.generations,
            lines.c.images,
            lines.c.credits,
        )
        .select_from(lines.outerjoin(tenant, of_tenant))
        .order_by(lines.c.tenant_id, lines.c.date, lines.c.type, lines.c.model)
    )


def ledger(tables: Tables, scope: Scope, order: Order) -> sa.Select[Any]:
    """Every credit movement that was posted in the period, and what was posted into closed months beside it after they
    were closed, as far as the statement counts it here; charges are negative."""
    rows = tables.credit_transaction
    posted = (
        sa.select(
            text(rows.c.id).label("movement_id"),
            *_moment(rows.c.created_at, "posted_at_utc", order.zone),
            text(rows.c.tenant_id).label("tenant_id"),
            tables.organization.c.name.label("tenant"),
            text(rows.c.type).label("type"),
            rows.c.amount.label("amount"),
            text(rows.c.user_id).label("user_id"),
            text(rows.c.generation_id).label("generation_id"),
            rows.c.price_paid.label("price_paid"),
            text(rows.c.currency).label("currency"),
            # What they are ordered by, as the database has it.
            rows.c.tenant_id.label("tenant_key"),
            sa.literal(OF_PERIOD, sa.Integer()).label("place"),
            rows.c.id.label("movement_key"),
        )
        .select_from(_with_tenant(tables, scope, rows))
        .where(scope.predicate(rows.c.tenant_id), within(rows.c.created_at, order.period))
    )
    late = late_movements(tables, scope, order)
    if late is None:
        return posted.with_only_columns(*list(posted.selected_columns)[:-3]).order_by(
            rows.c.tenant_id, rows.c.created_at, rows.c.id
        )
    found = sa.union_all(posted, late).subquery("found")
    return sa.select(*(one for one in found.c if one.key not in ("tenant_key", "place", "movement_key"))).order_by(
        found.c.tenant_key, found.c.posted_at_utc, found.c.place, found.c.movement_key
    )


def generations(tables: Tables, scope: Scope, order: Order) -> sa.Select[Any]:
    """Every generation that was made in the period, whatever its status."""
    rows = tables.generation
    return (
        sa.select(
            text(rows.c.id).label("generation_id"),
            *_moment(rows.c.created_at, "created_at_utc", order.zone),
            text(rows.c.tenant_id).label("tenant_id"),
            tables.organization.c.name.label("tenant"),
            text(rows.c.user_id).label("user_id"),
            text(rows.c.type).label("type"),
            text(rows.c.model).label("model"),
            text(rows.c.status).label("status"),
            rows.c.credits_used.label("credits"),
            rows.c.duration_ms.label("duration_ms"),
            aware(rows.c.completed_at).label("completed_at_utc"),
            text(rows.c.error).label("error"),
            (text(rows.c.prompt) if order.with_prompts else sa.null().cast(sa.Text())).label("prompt"),
        )
        .select_from(_with_tenant(tables, scope, rows))
        .where(scope.predicate(rows.c.tenant_id), within(rows.c.created_at, order.period))
        .order_by(rows.c.tenant_id, rows.c.created_at, rows.c.id)
    )


def query_log(tables: Tables, scope: Scope, order: Order) -> sa.Select[Any]:  # noqa: ARG001 - no tenant stands in it
    """Every question of the period that the query log has kept. Times are rounded to a microsecond, so that they are
    exact from here on."""
    rows = _QUERY_LOG
    times = ("wait_ms", "database_ms", "fetch_ms", "frame_ms", "cache_ms")
    names = ("query", "fingerprint", "parameters_hash", "page", "run_id", "role", "outcome")
    return (
        sa.select(
            *_moment(rows.c.at, "at_utc", order.zone),
            *(rows.c[one] for one in names),
            *(sa.cast(rows.c[one], sa.Numeric(18, 3)).label(one) for one in times),
            rows.c.rows,
            text(rows.c.slow).label("slow"),
            *(rows.c[one] for one in ("error", "reference", "asked_by", "plan_hash")),
        )
        .where(within(rows.c.at, order.period))
        .order_by(rows.c.at, rows.c.id)
    )


def audit(tables: Tables, scope: Scope, order: Order) -> sa.Select[Any]:  # noqa: ARG001 - no tenant stands in it
    """Everything that the audit has of the period. A subject is the text of a JSON object."""
    rows = _AUDIT
    return (
        sa.select(
            *_moment(rows.c.at, "at_utc", order.zone),
            *(rows.c[one] for one in ("who", "role", "action")),
            text(rows.c.subject).label("subject"),
        )
        .where(within(rows.c.at, order.period))
        .order_by(rows.c.at, rows.c.id)
    )


def _with_tenant(tables: Tables, scope: Scope, rows: sa.Table) -> sa.Join:
    tenant = tables.organization
    return rows.outerjoin(tenant, sa.and_(tenant.c.tenant_id == rows.c.tenant_id, scope.predicate(tenant.c.tenant_id)))


def _moment(column: sa.ColumnElement[Any], name: str, zone: str) -> tuple[sa.ColumnElement[Any], ...]:
    """A time in UTC, its local date, and the zone of that date."""
    moment = aware(column)
    return (
        moment.label(name),
        _local_date(moment, zone).label("date"),
        sa.literal(zone, sa.Text()).label("zone"),
    )


def _local_date(moment: sa.ColumnElement[Any], zone: str) -> sa.ColumnElement[Any]:
    return sa.cast(sa.func.timezone(zone, moment, type_=sa.TIMESTAMP()), sa.Date())
