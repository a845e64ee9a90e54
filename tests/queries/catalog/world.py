"""Made-up tenants, users, generations and movements as plain Python, and the same rows in PostgreSQL.

Three shapes of an application's tables: Prisma's own (text ids, times without zone, enums), one with `timestamptz`,
uuid ids, text statuses and NUMERIC credits, and one with integer ids. What a figure should be is counted over the
plain rows.
"""

import itertools
import random
import uuid
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any, Literal
from zoneinfo import ZoneInfo

import pandas as pd
import sqlalchemy as sa

from queries.arrow import frame_of
from queries.guard import refuse_unscoped
from queries.mapping import Mapping, TableMapping, prisma_mapping
from queries.period import Grain, Period
from queries.query import Query
from queries.tables import Tables, default_tables, instant

Shape = Literal["prisma", "aware", "numbered"]
SHAPES: tuple[Shape, ...] = ("prisma", "aware", "numbered")
# 23 and 25 hours; +05:30, +05:45, +12:45; half an hour; clocks back at midnight; midnight skipped.
ZONES = (
    *("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Asia/Kathmandu", "Pacific/Chatham"),
    *("Australia/Lord_Howe", "America/Havana", "Asia/Beirut", "America/Santiago"),
)
HOSTILE_ZONES = ("Pacific/Kiritimati", "America/Havana", "Asia/Kathmandu")
NAMES = ("Ada", "Ada", "100% Ltd_\\", 'O\'Brien; DROP TABLE "User"; --', "Øre & Søn", "{x} %s :y $1", "Other", "")
STATUSES = ("SUCCEEDED",) * 6 + ("FAILED", "CANCELLED", "PENDING", "PROCESSING")
TYPES = ("TEXT_TO_IMAGE", "IMAGE_TO_IMAGE", "INPAINTING", "UPSCALE")
SUBSCRIPTION_STATUSES = ("ACTIVE", "ACTIVE", "TRIALING", "PAST_DUE", "CANCELED")
ERRORS = ("Out of memory", "Out of memory", "<b>moderated</b> %s {x}", "model 'm1' timed out\nafter 30 s", None)
MOVEMENTS = ("GRANT", "PURCHASE", "CHARGE", "CHARGE", "CHARGE", "REFUND", "ADJUSTMENT", "EXPIRY")


@dataclass
class Generation:
    id: Any
    tenant: Any
    user: Any
    type: str
    model: str
    status: str
    credits: Any
    duration_ms: int | None
    created_at: datetime
    images: int = 0
    error: str | None = None
    completed_at: datetime | None = None


@dataclass
class Movement:
    tenant: Any
    type: str
    amount: Any
    posted_at: datetime
    user: Any = None
    generation: Any = None
    price_paid: Decimal | None = None
    currency: str | None = "EUR"


@dataclass
class Limit:
    """How often one type was tried on a day, and how often it might have been."""

    tenant: Any
    type: str
    day: date
    count: int
    limit: int


@dataclass
class Tenant:
    id: Any
    name: str
    plan: str | None
    balance: int | None
    period_start: datetime
    users: list[Any] = field(default_factory=list)
    status: str = "ACTIVE"
    credits_per_period: int = 500
    period_days: int = 30


@dataclass
class World:
    """All rows. Times have whole milliseconds, as Prisma's columns do."""

    tenants: list[Tenant]
    user_names: dict[Any, str]
    generations: list[Generation]
    movements: list[Movement]
    limits: list[Limit] = field(default_factory=list)

    def within(self, start: datetime, end: datetime) -> list[Generation]:
        return [one for one in self.generations if start <= one.created_at < end]

    def posted(self, start: datetime, end: datetime) -> list[Movement]:
        return [one for one in self.movements if start <= one.posted_at < end]


def net_burn(movements: list[Movement]) -> Any:
    return -sum(one.amount for one in movements if one.type in ("CHARGE", "REFUND"))


@cache
def transitions(zone: str, year: int = 2025) -> list[datetime]:
    """The instants of the year at which the zone's clocks change; New Year where they never do."""
    hours = [datetime(year, 1, 1, tzinfo=UTC) + timedelta(hours=number) for number in range(365 * 24)]
    info = ZoneInfo(zone)
    pairs = itertools.pairwise(hours)
    found = [now for last, now in pairs if last.astimezone(info).utcoffset() != now.astimezone(info).utcoffset()]
    return found or [hours[0]]


def made_world(seed: int, shape: Shape, centre: datetime, *, rows: int = 120, days: int = 5) -> World:
    """A world whose times gather around one instant."""
    chance = random.Random(seed)
    tenants = [
        Tenant(
            _id(chance, shape, number),
            chance.choice(NAMES),
            chance.choice((None, "FREE", "PRO")),
            chance.choice((None, -3, 40)),
            _near(chance, centre, days),
            status=chance.choice(SUBSCRIPTION_STATUSES),
        )
        for number in range(4)
    ]
    user_names: dict[Any, str] = {}
    for tenant in tenants[:3]:  # the last one has nobody and nothing
        tenant.users = [_id(chance, shape, 100 + len(user_names) + number) for number in range(3)]
        user_names |= {one: chance.choice(NAMES) for one in tenant.users}
    busy = tenants[:3]
    generations = [_generation(chance, shape, chance.choice(busy), 1_000 + n, centre, days) for n in range(rows)]
    movements = [_movement(chance, shape, chance.choice(busy), _near(chance, centre, days)) for _ in range(rows)]
    limits = [one for tenant in busy for one in _limits(chance, tenant, centre, days)]
    return World(tenants, user_names, generations, movements, limits)


def _limits(chance: random.Random, tenant: Tenant, centre: datetime, days: int) -> list[Limit]:
    """One row for some of the days and types; a limit of 0 now and then, tried or not."""
    wanted = [
        (centre.date() + timedelta(days=number), type_)
        for number in range(-days, days + 1)
        for type_ in TYPES
        if chance.random() < 0.3
    ]
    return [Limit(tenant.id, type_, day, chance.randint(0, 12), chance.choice((0, 3, 10))) for day, type_ in wanted]


def _generation(
    chance: random.Random, shape: Shape, tenant: Tenant, number: int, centre: datetime, days: int
) -> Generation:
    made = Generation(
        id=_id(chance, shape, number),
        tenant=tenant.id,
        user=chance.choice(tenant.users),
        type=chance.choice(TYPES),
        model=f"m{int(chance.random() ** 2 * 12)}",
        status=chance.choice(STATUSES),
        credits=_amount(chance, shape, 9),
        duration_ms=chance.choice((None, *[chance.randrange(100, 90_000)] * 9)),
        created_at=_near(chance, centre, days),
        images=chance.choice((0, 1, 3)),
    )
    if made.status == "FAILED":
        made.error = chance.choice(ERRORS)
    if made.status not in ("PENDING", "PROCESSING"):
        made.completed_at = made.created_at + timedelta(milliseconds=made.duration_ms or 0)
    return made


def _movement(chance: random.Random, shape: Shape, tenant: Tenant, posted_at: datetime) -> Movement:
    kind = chance.choice(MOVEMENTS)
    amount = _amount(chance, shape, 50)
    if kind in ("CHARGE", "EXPIRY") or (kind == "ADJUSTMENT" and chance.random() < 0.5):
        amount = -amount
    price = Decimal(chance.randint(100, 9_999)) / 100 if kind == "PURCHASE" else None
    return Movement(tenant.id, kind, amount, posted_at, chance.choice((None, *tenant.users)), price_paid=price)


def _near(chance: random.Random, centre: datetime, days: int) -> datetime:
    spread_s = chance.choice((2 * 3600, days * 86_400))
    moment = centre + timedelta(seconds=chance.randint(-spread_s, spread_s), milliseconds=chance.randint(0, 999))
    return chance.choice((moment, moment.replace(minute=0, second=0, microsecond=0), moment))


def _amount(chance: random.Random, shape: Shape, most: int) -> Any:
    # Tenths have no exact float: a sum that went through one would show it.
    return Decimal(chance.randint(1, most * 10)) / 10 if shape == "aware" else chance.randint(1, most)


def _id(chance: random.Random, shape: Shape, number: int) -> Any:
    if shape == "aware":
        return uuid.UUID(int=chance.getrandbits(128), version=4)
    return number if shape == "numbered" else f"{number}-{chance.choice(('a', '%', 'ö', chr(39)))}"


# ---- in PostgreSQL


def mapping_of(shape: Shape) -> Mapping:
    base = prisma_mapping()
    if shape == "prisma":
        return base
    tables = {logical: TableMapping(shape, f"t {logical}", one.columns) for logical, one in base.tables.items()}
    return Mapping(tables, base.values)


def create_tables(connection: sa.Connection, shape: Shape) -> None:
    """The tables of a shape other than Prisma's, in the schema of its name."""
    metadata = sa.MetaData()
    for logical, table in default_tables(mapping_of(shape)).all().items():
        columns = [sa.Column(one.name, _shaped(one, shape, logical), key=one.key) for one in table.c]
        sa.Table(table.name, metadata, *columns, schema=shape)
    metadata.create_all(connection)


def _shaped(column: sa.Column[Any], shape: Shape, logical: str) -> sa.types.TypeEngine[Any]:
    is_id = column.key == "id" or column.key.endswith("_id")
    if shape == "numbered":
        if isinstance(column.type, sa.Enum):
            return sa.Text()
        return (
            sa.BigInteger()
            if is_id
            else sa.TIMESTAMP()
            if isinstance(column.type, sa.types.TypeDecorator)
            else column.type
        )
    if is_id:
        return sa.Uuid()
    if isinstance(column.type, sa.types.TypeDecorator):
        # One table of this shape keeps times without zone: tables need not agree.
        return sa.TIMESTAMP(timezone=logical != "subscription")
    if isinstance(column.type, sa.Enum):
        return sa.Text()
    return sa.Numeric() if column.key in ("credits_used", "amount") else column.type


def insert(connection: sa.Connection, tables: Tables, world: World) -> None:
    """All rows of the world, for the transaction's own eyes."""
    now = datetime(2025, 1, 1, tzinfo=UTC)
    for tenant in world.tenants:
        _add(connection, tables.organization, [{"tenant_id": tenant.id, "name": tenant.name, "created_at": now}])
        if tenant.plan is not None:
            subscription = {"tenant_id": tenant.id, "plan": tenant.plan, "status": tenant.status}
            subscription["credits_per_period"] = tenant.credits_per_period
            ends = tenant.period_start + timedelta(days=tenant.period_days)
            times = {"period_start": tenant.period_start, "period_end": ends}
            _add(connection, tables.subscription, [subscription | times])
        if tenant.balance is not None:
            balance = {"tenant_id": tenant.id, "balance": tenant.balance, "reset_at": now, "updated_at": now}
            _add(connection, tables.credit_balance, [balance])
        _add(connection, tables.user, [_user_row(world, tenant, one, now) for one in tenant.users])
    _add(connection, tables.generation, [_generation_row(one) for one in world.generations])
    ledger = [
        {"id": _fresh_id(tables.credit_transaction.c.id, number), "tenant_id": one.tenant, "type": one.type}
        | {"amount": one.amount, "created_at": one.posted_at, "user_id": one.user, "generation_id": one.generation}
        | {"price_paid": one.price_paid, "currency": None if one.price_paid is None else one.currency}
        for number, one in enumerate(world.movements)
    ]
    _add(connection, tables.credit_transaction, ledger)
    images = [one for one in world.generations for _ in range(one.images)]
    rows = [
        {"id": _fresh_id(tables.image.c.id, n), "generation_id": one.id, "tenant_id": one.tenant, "url": f"u{n}"}
        | {"size_bytes": 1, "created_at": one.created_at}
        for n, one in enumerate(images)
    ]
    _add(connection, tables.image, rows)
    limits = [
        {"tenant_id": one.tenant, "type": one.type, "date": one.day, "count": one.count, "limit": one.limit}
        for one in world.limits
    ]
    _add(connection, tables.usage_limit, limits)


def _user_row(world: World, tenant: Tenant, user: Any, now: datetime) -> dict[str, Any]:
    named = {"id": user, "tenant_id": tenant.id, "email": f"{user}@{tenant.id}.example", "created_at": now}
    return {**named, "name": world.user_names[user]}


def _generation_row(one: Generation) -> dict[str, Any]:
    plain = {"id": one.id, "tenant_id": one.tenant, "user_id": one.user, "type": one.type, "model": one.model}
    figures = {"status": one.status, "credits_used": one.credits, "duration_ms": one.duration_ms, "prompt": "p" * 300}
    times = {"created_at": one.created_at, "completed_at": one.completed_at, "updated_at": one.created_at}
    return plain | figures | {"error": one.error} | times


def _fresh_id(column: sa.Column[Any], number: int) -> Any:
    return (
        uuid.UUID(int=number)
        if isinstance(column.type, sa.Uuid)
        else number
        if isinstance(column.type, sa.Integer)
        else str(number)
    )


def _add(connection: sa.Connection, table: sa.Table, rows: list[dict[str, Any]]) -> None:
    if not rows:
        return
    ready = [
        {key: instant(table.c[key], value) if isinstance(value, datetime) else value for key, value in row.items()}
        for row in rows
    ]
    connection.execute(sa.insert(table), ready)


def ask(connection: sa.Connection, tables: Tables, query: Query) -> pd.DataFrame:
    """The answer as the runner makes it, without caches: the guard, the statement, the frame, the finish."""
    statement = query.statement(tables)
    refuse_unscoped(statement, query.scope)
    answered = connection.execute(statement)
    described: Any = answered.cursor.description  # type: ignore[union-attr]
    frame = frame_of(answered.fetchall(), [one[0] for one in described], [one[1] for one in described])
    return query.finish(frame) if query.finish is not None else frame


def rows_of(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as plain Python values; a missing one is None."""
    return [
        {str(key): None if value is pd.NA or value is None else value for key, value in row.items()}
        for row in frame.to_dict("records")
    ]


# ---- buckets, counted another way than in queries/period.py


def bucket_name(moment: datetime, grain: Grain, zone: str) -> object:
    """What tells the buckets of a grain apart: the local date, or the local hour and its offset from UTC."""
    local = moment.astimezone(ZoneInfo(zone))
    if grain == "month":
        return (local.year, local.month)
    if grain == "week":
        return tuple(local.isocalendar())[:2]
    if grain == "day":
        return local.date()
    return (local.date(), local.hour, local.minute if grain == "minute" else 0, local.utcoffset())


def period_around(centre: datetime, zone: str, grain: Grain, before: int, after: int, now: datetime) -> Period:
    day: date = centre.astimezone(ZoneInfo(zone)).date()
    return Period.of_dates(day - timedelta(days=before), day + timedelta(days=after), zone=zone, now=now, grain=grain)
