"""Questions about single generations: the newest, those that are stuck, and their images."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from queries.catalog.arguments import checked_page
from queries.catalog.sums import text
from queries.catalog.usage import STUCK_AFTER
from queries.errors import ArgumentError
from queries.period import Period
from queries.query import catalog_query
from queries.scope import Scope, is_storable, native_id
from queries.tables import Tables, aware, comparable, instant, within

PROMPT_LENGTH = 200
# Bytes of one image that a page may show, and that a click may download.
SHOWN_BYTES, DOWNLOADED_BYTES = 256 * 1024, 1024 * 1024
MOST_PICTURES, HEAD_BYTES = 50, 12
# An image is made after its generation; clocks of several servers may differ, but not by so much.
IMAGE_SLACK = timedelta(days=1)
_STANDING = ("id", "tenant_id", "user_id", "type", "model", "status", "credits_used", "duration_ms", "error")


@catalog_query("generations.latest", freshness="live")
def latest(
    tables: Tables,
    scope: Scope,
    *,
    period: Period,
    offset: int,
    limit: int,
    user_id: str | None = None,
    status: str | None = None,
    generation_type: str | None = None,
    model: str | None = None,
    generation_id: str | None = None,
) -> sa.Select[Any]:
    """generation_id, created_at, tenant_id, tenant, user_id, user, type, model, status, credits, duration_ms, prompt
    (its first 200 characters), error, images, image_id, image_url (of the generation's first image), total_rows; newest
    first. A user, status, type, model or generation that there is not finds nothing."""
    checked_page(offset, limit)
    rows = tables.generation
    inside = [scope.predicate(rows.c.tenant_id), within(rows.c.created_at, period)]
    wanted = {
        "user_id": user_id,
        "status": status,
        "type": generation_type,
        "model": model,
        "id": generation_id,
    }
    only = [_is(rows.c[name], value) for name, value in wanted.items() if value is not None]
    where = [*inside, *only]
    edge = [] if only else [rows.c.created_at >= newest_edge(rows, inside, offset + limit)]
    page = _page(rows, [*where, *edge], offset, limit)
    images = _images(tables, scope, page)
    of_page = sa.and_(images.c.generation_id == page.c.id, images.c.tenant_id == page.c.tenant_id)
    return (
        sa.select(
            *_columns(tables, page),
            sa.func.left(text(page.c.prompt), PROMPT_LENGTH, type_=sa.Text()).label("prompt"),
            sa.func.coalesce(images.c.images, 0).label("images"),
            text(images.c.image_id).label("image_id"),
            images.c.image_url.label("image_url"),
            sa.select(sa.func.count()).select_from(rows).where(*where).scalar_subquery().label("total_rows"),
        )
        .select_from(_named(tables, scope, page).outerjoin(images, of_page))
        .order_by(page.c.created_at.desc(), page.c.id.desc())
    )


@catalog_query("generations.stuck", freshness="live")
def stuck(tables: Tables, scope: Scope, *, now: datetime, offset: int, limit: int) -> sa.Select[Any]:
    """Generations that are not terminal and older than 15 minutes at `now`, however old, the oldest first:
    generation_id, created_at, tenant_id, tenant, user_id, user, type, model, status, credits (reserved), duration_ms,
    error, total_rows."""
    checked_page(offset, limit)
    rows = tables.generation
    where = [
        scope.predicate(rows.c.tenant_id),
        tables.has(rows.c.status, "generation_status", "unfinished"),
        rows.c.created_at < instant(rows.c.created_at, now - STUCK_AFTER),
    ]
    found = sa.select(*(rows.c[one] for one in (*_STANDING, "created_at"))).where(*where).cte("found")
    oldest_first = (found.c.created_at.asc(), found.c.id.asc())
    page = (
        sa.select(found, sa.func.count().over().label("total_rows"))
        .order_by(*oldest_first)
        .offset(offset)
        .limit(limit)
        .cte("page")
    )
    return (
        sa.select(*_columns(tables, page), page.c.total_rows)
        .select_from(_named(tables, scope, page))
        .order_by(page.c.created_at.asc(), page.c.id.asc())
    )


@catalog_query("generations.pictures", row_limit=MOST_PICTURES)
def pictures(tables: Tables, scope: Scope, *, generation_ids: tuple[str, ...], since: datetime) -> sa.Select[Any]:
    """The first image of each of these generations (at most 50; the oldest was made at `since`): generation_id,
    image_id, image_url, size_bytes (as the application says it), stored_bytes (null where none are stored), head (the
    first 12 of them), data (all; null where there are more than 256 KiB)."""
    if len(generation_ids) > MOST_PICTURES:
        raise ArgumentError(f"{len(generation_ids)} images at once are not possible; ask for at most {MOST_PICTURES}")
    image = tables.image
    ids = _natives(image.c.generation_id, generation_ids)
    groups = (image.c.tenant_id, image.c.generation_id)
    first = sa.func.row_number().over(partition_by=groups, order_by=image.c.id)
    # The bytes are fetched after the choice: a window over them would carry all of them along.
    numbered = (
        sa.select(*groups, image.c.id, first.label("number"))
        .where(
            scope.predicate(image.c.tenant_id),
            image.c.generation_id == sa.any_(ids),
            image.c.created_at >= instant(image.c.created_at, since - IMAGE_SLACK),
        )
        .cte("numbered")
    )
    chosen = sa.func.array(sa.select(numbered.c.id).where(numbered.c.number == 1).scalar_subquery())
    chosen_ids = sa.type_coerce(chosen, sa.ARRAY(image.c.id.type))
    stored = sa.func.octet_length(image.c.data)
    return (
        sa.select(
            text(image.c.generation_id).label("generation_id"),
            text(image.c.id).label("image_id"),
            image.c.url.label("image_url"),
            image.c.size_bytes.label("size_bytes"),
            stored.label("stored_bytes"),
            sa.func.substring(image.c.data, 1, HEAD_BYTES, type_=image.c.data.type).label("head"),
            sa.case((stored <= SHOWN_BYTES, image.c.data)).label("data"),
        )
        .where(scope.predicate(image.c.tenant_id), image.c.id == sa.any_(chosen_ids))
        .order_by(image.c.id)
    )


@catalog_query("generations.picture")
def picture(tables: Tables, scope: Scope, *, image_id: str) -> sa.Select[Any]:
    """One row, none when there is no such image: image_id, generation_id, stored_bytes, data (the bytes; null where
    there are none or more than 1 MiB)."""
    image = tables.image
    stored = sa.func.octet_length(image.c.data)
    return sa.select(
        text(image.c.id).label("image_id"),
        text(image.c.generation_id).label("generation_id"),
        stored.label("stored_bytes"),
        sa.case((stored <= DOWNLOADED_BYTES, image.c.data)).label("data"),
    ).where(scope.predicate(image.c.tenant_id), image.c.id == sa.any_(_natives(image.c.id, (image_id,))))


def _is(column: sa.ColumnElement[Any], wanted: str) -> sa.ColumnElement[bool]:
    """Whether the column holds this value, which may come from a URL; one that it cannot hold is in no row."""
    if isinstance(column.type, sa.Enum):
        # An IN of nothing, not FALSE: AND with FALSE would fold every other predicate away, the tenants' included.
        return column.in_([wanted] if wanted in column.type.enums else [])
    if isinstance(column.type, sa.Text | sa.String):
        return column.in_([wanted] if is_storable(wanted) else [])
    return column == sa.any_(_natives(column, (wanted,)))


def _natives(column: sa.ColumnElement[Any], ids: Sequence[str]) -> sa.BindParameter[Any]:
    """Those of the ids that the column could hold, as one array."""
    native = [value for one in ids if (value := native_id(one, column.type)) is not None]
    return sa.bindparam("ids", native, type_=sa.ARRAY(column.type), unique=True)


def newest_edge(rows: sa.Table, where: Sequence[sa.ColumnElement[bool]], count: int) -> sa.ScalarSelect[Any]:
    """The time of the oldest of so many newest rows. PostgreSQL takes no order from an index whose first column is
    compared with an array, and would fetch and sort all rows to show 25; this reads times only, from the index."""
    times = sa.select(rows.c.created_at).where(*where).order_by(rows.c.created_at.desc()).limit(count).subquery()
    return sa.select(sa.type_coerce(sa.func.min(times.c.created_at), rows.c.created_at.type)).scalar_subquery()


def _page(rows: sa.Table, where: Sequence[sa.ColumnElement[bool]], offset: int, limit: int) -> sa.CTE:
    wanted = [rows.c[one] for one in (*_STANDING, "prompt", "created_at")]
    newest_first = (rows.c.created_at.desc(), rows.c.id.desc())
    return sa.select(*wanted).where(*where).order_by(*newest_first).offset(offset).limit(limit).cte("page")


def _named(tables: Tables, scope: Scope, page: sa.CTE) -> sa.Join:
    """The page with the names of its users and tenants."""
    user, tenant = tables.user, tables.organization
    of_user = sa.and_(
        user.c.id == page.c.user_id, user.c.tenant_id == page.c.tenant_id, scope.predicate(user.c.tenant_id)
    )
    of_tenant = sa.and_(tenant.c.tenant_id == page.c.tenant_id, scope.predicate(tenant.c.tenant_id))
    return page.outerjoin(user, of_user).outerjoin(tenant, of_tenant)


def _columns(tables: Tables, page: sa.CTE) -> list[sa.ColumnElement[Any]]:
    return [
        text(page.c.id).label("generation_id"),
        aware(page.c.created_at).label("created_at"),
        text(page.c.tenant_id).label("tenant_id"),
        tables.organization.c.name.label("tenant"),
        text(page.c.user_id).label("user_id"),
        tables.user.c.name.label("user"),
        text(page.c.type).label("type"),
        text(page.c.model).label("model"),
        text(page.c.status).label("status"),
        page.c.credits_used.label("credits"),
        page.c.duration_ms.label("duration_ms"),
        text(page.c.error).label("error"),
    ]


def _images(tables: Tables, scope: Scope, page: sa.CTE) -> sa.CTE:
    """How many images each generation of the page has, and the first of them.

    Looked up by arrays and not by a join: only so can an index be used through the views of the second wall. Which
    index is there is the application's affair, so tenant and time narrow the search as well.
    """
    image = tables.image
    of_page, tenants = (
        sa.func.array(sa.select(one).scalar_subquery(), type_=sa.ARRAY(one.type))
        for one in (page.c.id, page.c.tenant_id)
    )
    oldest = sa.select(sa.type_coerce(sa.func.min(page.c.created_at), page.c.created_at.type)).scalar_subquery()
    since = comparable(
        sa.type_coerce(oldest - sa.literal(IMAGE_SLACK, sa.Interval()), page.c.created_at.type), image.c.created_at
    )
    groups = (image.c.tenant_id, image.c.generation_id)
    numbered = (
        sa.select(
            *groups,
            image.c.id.label("image_id"),
            image.c.url.label("image_url"),
            sa.func.count().over(partition_by=groups).label("images"),
            sa.func.row_number().over(partition_by=groups, order_by=image.c.id).label("number"),
        )
        .where(
            scope.predicate(image.c.tenant_id),
            image.c.tenant_id == sa.any_(tenants),
            image.c.generation_id == sa.any_(of_page),
            image.c.created_at >= since,
        )
        .subquery("numbered")
    )
    return sa.select(numbered).where(numbered.c.number == 1).cte("images")
