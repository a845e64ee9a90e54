"""Figures of many tenants, and of one, against the same figures counted over plain rows."""

from datetime import UTC, datetime, timedelta
from statistics import quantiles
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queries.catalog import tenants
from queries.errors import ArgumentError
from queries.period import local_date, local_midnight
from queries.scope import Scope
from tests.queries.catalog.conftest import OpenWorld
from tests.queries.catalog.world import (
    HOSTILE_ZONES,
    NAMES,
    SHAPES,
    ZONES,
    Generation,
    Limit,
    Movement,
    Shape,
    Tenant,
    World,
    ask,
    made_world,
    net_burn,
    rows_of,
    transitions,
)

ALL = Scope.all_tenants()
SEEDS = st.integers(0, 10**6)
PAGE = {"search": "", "plans": (), "sort": "tenant_id", "descending": False, "offset": 0, "limit": 50}
SUBSCRIPTION_ORDER = ("TRIALING", "ACTIVE", "PAST_DUE", "CANCELED")


def days_ago(now: datetime, zone: str, days: int) -> datetime:
    return local_midnight(local_date(now, zone) - timedelta(days=days), zone)


def expected_signals(world: World, tenant: Tenant, now: datetime, zone: str) -> dict[str, Any]:
    """A row of the signals, counted."""
    own = [one for one in world.generations if one.tenant == tenant.id and one.created_at < now]
    ledger = [one for one in world.movements if one.tenant == tenant.id and one.posted_at < now]
    spans = {"7d": (7, 0), "prev_7d": (14, 7), "28d": (28, 0), "prev_28d": (56, 28)}
    row: dict[str, Any] = {
        "tenant": tenant.name,
        "plan": tenant.plan,
        "subscription_status": None if tenant.plan is None else tenant.status,
        "renewing": tenant.plan is not None and tenant.status != "CANCELED",
        "period_start": None if tenant.plan is None else tenant.period_start,
        "renews_at": None if tenant.plan is None else tenant.period_start + timedelta(days=tenant.period_days),
        "credits_per_period": None if tenant.plan is None else tenant.credits_per_period,
        "credits_left": tenant.balance,
        "last_seen_at": max((one.created_at for one in own), default=None),
        "last_success_at": max((one.created_at for one in own if one.status == "SUCCEEDED"), default=None),
        "burn_daily": [_burn(ledger, now, zone, 56 - number, 55 - number) for number in range(56)],
        "history_days": _history_days(ledger, now, zone),
        "used_in_period_credits": None
        if tenant.plan is None
        else net_burn([one for one in ledger if one.posted_at >= tenant.period_start]),
    }
    for name, (first, last) in spans.items():
        inside = [one for one in own if days_ago(now, zone, first) <= one.created_at < days_ago(now, zone, last)]
        succeeded = [one for one in inside if one.status == "SUCCEEDED"]
        row |= {
            f"burn_{name}_credits": _burn(ledger, now, zone, first, last),
            f"generations_{name}": len(inside),
            f"succeeded_{name}": len(succeeded),
            f"failed_{name}": sum(one.status == "FAILED" for one in inside),
        }
        if name != "prev_7d":
            row[f"active_users_{name}"] = len({one.user for one in succeeded})
    return row | _quota(world, tenant, now)


def _burn(ledger: list[Any], now: datetime, zone: str, first: int, last: int) -> Any:
    start, end = days_ago(now, zone, first), days_ago(now, zone, last)
    return net_burn([one for one in ledger if start <= one.posted_at < end])


def _history_days(ledger: list[Any], now: datetime, zone: str) -> int:
    charged = [one.posted_at for one in ledger if one.type == "CHARGE"]
    if not charged:
        return 0
    return min(56, (local_date(now, zone) - local_date(min(charged), zone)).days)


def _quota(world: World, tenant: Tenant, now: datetime) -> dict[str, Any]:
    today = now.astimezone(UTC).date()
    limits = [one for one in world.limits if one.tenant == tenant.id and 1 <= (today - one.day).days <= 28]
    peak = max((one.count / one.limit for one in limits if one.limit), default=None)
    return {
        "limit_hit_days_28d": len({one.day for one in limits if one.count >= one.limit and one.count > 0}),
        "quota_peak_28d": None if peak is None else pytest.approx(peak),
    }


def signals_of(connection: Any, tables: Any, now: datetime, zone: str, **chosen: Any) -> dict[str, dict[str, Any]]:
    """The rows of the signals by tenant, with plain lists."""
    asked = tenants.signals(ALL, now=now, zone=zone, **{"search": "", "plans": (), **chosen})
    found = rows_of(ask(connection, tables, asked))
    return {one["tenant_id"]: {**one, "burn_daily": list(one["burn_daily"])} for one in found}


@settings(max_examples=24)
@given(SEEDS, st.sampled_from(SHAPES), st.sampled_from(ZONES), st.integers(-3, 80))
def test_signals_of_every_tenant(open_world: OpenWorld, seed: int, shape: Shape, zone: str, days: int) -> None:
    centre = transitions(zone)[0]
    now = centre + timedelta(days=days, hours=seed % 24)
    world = made_world(seed, shape, centre, days=20)
    with open_world(shape, world, HOSTILE_ZONES[seed % 3]) as (connection, tables):
        found = signals_of(connection, tables, now, zone)
    assert set(found) == {str(one.id) for one in world.tenants}
    for tenant in world.tenants:
        row = found[str(tenant.id)]
        assert {key: value for key, value in row.items() if key != "tenant_id"} == expected_signals(
            world, tenant, now, zone
        )
        for span, (first, last) in {"7d": (49, 56), "prev_7d": (42, 49), "28d": (28, 56), "prev_28d": (0, 28)}.items():
            assert row[f"burn_{span}_credits"] == sum(row["burn_daily"][first:last])


def test_signals_of_periods_that_began_on_a_boundary_before_the_history_and_ahead(open_world: OpenWorld) -> None:
    now, zone = datetime(2025, 6, 15, 10, 30, tzinfo=UTC), "Asia/Kathmandu"
    starts = (days_ago(now, zone, 3), days_ago(now, zone, 0), days_ago(now, zone, 56), now, now + timedelta(days=2))
    for began in (*starts, now - timedelta(days=100), now - timedelta(hours=2)):
        world = made_world(7, "prisma", now - timedelta(days=30), rows=400, days=100)
        for tenant in world.tenants:
            tenant.plan, tenant.period_start = "PRO", began
        with open_world("prisma", world) as (connection, tables):
            found = signals_of(connection, tables, now, zone)
        for tenant in world.tenants:
            expected = expected_signals(world, tenant, now, zone)["used_in_period_credits"]
            assert found[str(tenant.id)]["used_in_period_credits"] == expected
    assert any(one["history_days"] == 56 for one in found.values())


def bare_world(**rows: Any) -> World:
    """One tenant, "t", with one user, "u", and only the rows that are given; the user "gone" is of another now."""
    tenant = Tenant("t", "T", None, None, datetime(2025, 6, 1, tzinfo=UTC), users=["u"])
    other = Tenant("v", "V", None, None, datetime(2025, 6, 1, tzinfo=UTC), users=["gone"])
    chosen = [rows.get("tenant", tenant), other]
    return World(chosen, {"u": "U", "gone": "G"}, rows.get("generations", []), rows.get("movements", []))


def generation(now: datetime, **given: Any) -> Generation:
    usual = {"id": str(given), "tenant": "t", "user": "u", "type": "UPSCALE", "model": "m", "status": "SUCCEEDED"}
    figures = {"credits": 3, "duration_ms": 5, "created_at": now - timedelta(days=2)}
    return Generation(**{**usual, **figures, **given})


NOON = datetime(2025, 6, 15, 12, tzinfo=UTC)
NOTHING = {"generations_28d": 0, "burn_28d_credits": 0, "history_days": 0, "last_seen_at": None, "credits_left": None}
TODAY = NOON - timedelta(hours=3)
POSTED = [Movement("t", "CHARGE", -3, NOON - timedelta(days=2))]


@pytest.mark.parametrize(
    ("world", "expected"),
    [
        (bare_world(), NOTHING),
        (bare_world(generations=[generation(NOON)]), {"generations_28d": 1, "active_users_28d": 1, "history_days": 0}),
        (
            bare_world(generations=[generation(NOON, status="FAILED", duration_ms=None)]),
            {"failed_28d": 1, "active_users_28d": 0, "last_success_at": None, "last_seen_at": NOON - timedelta(days=2)},
        ),
        (
            bare_world(
                generations=[generation(NOON, created_at=TODAY)], movements=[Movement("t", "CHARGE", -3, TODAY)]
            ),
            {"generations_28d": 0, "burn_28d_credits": 0, "history_days": 0, "last_success_at": TODAY},
        ),
        (
            bare_world(generations=[generation(NOON, created_at=NOON + timedelta(days=3))]),
            {"generations_28d": 0, "last_seen_at": None, "last_success_at": None},
        ),
        (
            bare_world(movements=[Movement("t", "CHARGE", -9, NOON + timedelta(days=1))]),
            {"burn_28d_credits": 0, "used_in_period_credits": None, "history_days": 0},
        ),
        (bare_world(movements=POSTED), {"burn_28d_credits": 3, "credits_left": None, "history_days": 2}),
        (
            bare_world(tenant=Tenant("t", "T", None, -340, NOON)),
            {"credits_left": -340, "burn_28d_credits": 0, "renewing": False, "renews_at": None},
        ),
        (
            bare_world(generations=[generation(NOON, user="gone"), generation(NOON, created_at=NOON)]),
            {"active_users_28d": 1, "generations_28d": 1},
        ),
    ],
    ids=[
        "nothing",
        "one row",
        "only failures",
        "only today",
        "ahead of its time",
        "posted ahead",
        "ledger without balance",
        "balance without ledger",
        "user who moved away",
    ],
)
def test_signals_of_what_is_hardly_there(open_world: OpenWorld, world: World, expected: dict[str, Any]) -> None:
    with open_world("prisma", world) as (connection, tables):
        row = signals_of(connection, tables, NOON, "UTC")["t"]
    assert {name: row[name] for name in expected} == expected
    assert len(row["burn_daily"]) == 56


def test_a_limit_of_nothing_is_hit_when_somebody_tried(open_world: OpenWorld) -> None:
    limits = [(0, 0), (0, 2), (10, 9), (10, 10), (10, 12)]
    world = bare_world()
    world.limits = [
        Limit("t", "UPSCALE", NOON.date() - timedelta(days=1 + day), count, limit)
        for day, (limit, count) in enumerate(limits)
    ] + [Limit("t", "UPSCALE", NOON.date(), 50, 10), Limit("t", "INPAINTING", NOON.date() - timedelta(days=2), 5, 0)]
    with open_world("prisma", world) as (connection, tables):
        row = signals_of(connection, tables, NOON, "Pacific/Kiritimati")["t"]
    assert row["limit_hit_days_28d"] == 3
    assert row["quota_peak_28d"] == 1.2


def sort_figure(row: dict[str, Any], sort: str) -> Any:
    if sort == "change_7d":
        base = row["burn_prev_7d_credits"]
        return float((row["burn_7d_credits"] - base) / base) if base > 0 else None
    if sort == "success_rate":
        ended = row["succeeded_28d"] + row["failed_28d"]
        return row["succeeded_28d"] / ended if ended else None
    return row[sort]


@settings(max_examples=40)
@given(SEEDS, st.sampled_from(SHAPES), st.sampled_from(tenants.SORTS), st.booleans(), st.integers(1, 4))
def test_pages_follow_each_other_in_the_chosen_order(
    open_world: OpenWorld, seed: int, shape: Shape, sort: str, descending: bool, limit: int
) -> None:
    centre = transitions("UTC")[0]
    world, now = made_world(seed, shape, centre, days=20), centre + timedelta(days=9 + seed % 60)
    chosen = {**PAGE, "now": now, "zone": "Asia/Kolkata", "sort": sort, "descending": descending}
    with open_world(shape, world) as (connection, tables):
        whole = rows_of(ask(connection, tables, tenants.portfolio(ALL, **chosen)))
        signals = signals_of(connection, tables, now, "Asia/Kolkata")
        paged = []
        for offset in range(0, 4, limit):
            query = tenants.portfolio(ALL, **{**chosen, "offset": offset, "limit": limit})
            paged += rows_of(ask(connection, tables, query))
    assert paged == whole
    assert {one["tenant_id"]: one["tenant"] for one in whole} == {str(one.id): one.name for one in world.tenants}
    assert {one["matching_tenants"] for one in whole} == {4}
    if sort == "tenant" or (shape != "prisma" and sort in ("plan", "subscription_status", "tenant_id")):
        return  # text is ordered by the database's own collation, and ids by their own type
    values = [sort_figure(signals[one["tenant_id"]], sort) for one in whole]
    known = [one for one in values if one is not None]
    assert values == known + [None] * (len(values) - len(known))
    enums = {"plan": ("FREE", "STARTER", "PRO", "BUSINESS"), "subscription_status": SUBSCRIPTION_ORDER}
    if sort in enums:
        known = [enums[sort].index(one) for one in known]
    if sort != "tenant_id":
        assert known == sorted(known, reverse=descending)


@settings(max_examples=16)
@given(SEEDS, st.sampled_from(SHAPES), st.sampled_from(ZONES), st.booleans())
def test_a_page_of_ids_keeps_their_order_and_knows_their_latency(
    open_world: OpenWorld, seed: int, shape: Shape, zone: str, is_mine: bool
) -> None:
    centre = transitions(zone)[0]
    world, now = made_world(seed, shape, centre, rows=200, days=20), centre + timedelta(days=12)
    wanted = [str(one.id) for one in reversed(world.tenants)]
    scope = Scope.of(wanted[:2]) if is_mine else ALL
    asked = (wanted[0], "nobody", "-1", *wanted[1:])
    with open_world(shape, world, HOSTILE_ZONES[seed % 3]) as (connection, tables):
        query = tenants.portfolio(scope, **PAGE, now=now, zone=zone, ids=asked)
        found = rows_of(ask(connection, tables, query))
    assert [one["tenant_id"] for one in found] == (wanted[:2] if is_mine else wanted)
    start, end = days_ago(now, zone, 28), days_ago(now, zone, 0)
    for row in found:
        took = [
            one.duration_ms
            for one in world.within(start, end)
            if str(one.tenant) == row["tenant_id"] and one.status == "SUCCEEDED" and one.duration_ms is not None
        ]
        assert row["latency_rows"] == len(took)
        p95 = quantiles(took, n=100, method="inclusive")[94] if len(took) >= 20 else None
        assert row["p95_ms"] == (None if p95 is None else pytest.approx(p95))


@settings(max_examples=16)
@given(
    SEEDS,
    st.sampled_from((*NAMES, "%", "_", "\\", "/", "a", "ADA", "' OR '1'='1")),
    st.sampled_from(((), ("PRO",), ("", "FREE"), ("Ω",))),
    st.sampled_from(tenants.SORTS),
)
def test_search_is_literal_and_plans_filter(
    open_world: OpenWorld, seed: int, search: str, plans: tuple[str, ...], sort: str
) -> None:
    centre = transitions("UTC")[0]
    world = made_world(seed, "prisma", centre)
    now = centre + timedelta(days=2)
    named = [one for one in world.tenants if search.lower() in one.name.lower()]
    wanted = {one.id for one in named if not plans or (one.plan or "") in plans}
    with open_world("prisma", world) as (connection, tables):
        chosen = {"search": search, "plans": plans}
        page = {**PAGE, **chosen, "sort": sort}
        found = rows_of(ask(connection, tables, tenants.portfolio(ALL, now=now, zone="UTC", **page)))
        signals = signals_of(connection, tables, now, "UTC", **chosen)
        choices = rows_of(ask(connection, tables, tenants.tenant_choices(ALL, search=search, limit=10)))
        plan_rows = rows_of(ask(connection, tables, tenants.plans(ALL)))
    assert {one["tenant_id"] for one in found} == wanted == set(signals)
    assert {one["matching_tenants"] for one in found} <= {len(wanted)}
    for tenant in world.tenants:
        if tenant.id in wanted:
            expected = expected_signals(world, tenant, now, "UTC")
            assert {name: signals[tenant.id][name] for name in expected} == expected
    assert {(one["tenant_id"], one["tenant"]) for one in choices} == {(one.id, one.name) for one in named}
    assert {one["plan"]: one["tenants"] for one in plan_rows} == {
        plan: count for plan in ("", "FREE", "PRO") if (count := sum((one.plan or "") == plan for one in world.tenants))
    }


@settings(max_examples=10)
@given(SEEDS, st.sampled_from(SHAPES), st.integers(-3, 6))
def test_header_of_each_tenant(open_world: OpenWorld, seed: int, shape: Shape, days: int) -> None:
    centre = transitions("UTC")[0]
    world, now = made_world(seed, shape, centre), centre + timedelta(days=days)
    with open_world(shape, world, HOSTILE_ZONES[seed % 3]) as (connection, tables):
        for tenant in world.tenants:
            row = rows_of(ask(connection, tables, tenants.header(Scope.of([str(tenant.id)]), now=now)))[0]
            own = [one for one in world.generations if one.tenant == tenant.id and one.created_at < now]
            hanging = [one for one in own if one.status in ("PENDING", "PROCESSING")]
            assert row["in_flight_credits"] == sum(one.credits for one in hanging)
            assert row["newest_generation_at"] == max((one.created_at for one in own), default=None)
            assert (row["tenant"], row["plan"], row["credits_left"]) == (tenant.name, tenant.plan, tenant.balance)
            assert row["users"] == len(tenant.users)
            posted = [one for one in world.posted(tenant.period_start, now) if one.tenant == tenant.id]
            assert row["used_in_period_credits"] == (net_burn(posted) if tenant.plan is not None else 0)
            assert row["period_start"] == (None if tenant.plan is None else tenant.period_start)


def test_header_of_nobody_and_of_many(open_world: OpenWorld) -> None:
    now = datetime(2025, 6, 1, tzinfo=UTC)
    for shape in SHAPES:
        with open_world(shape, made_world(1, shape, now)) as (connection, tables):
            assert len(ask(connection, tables, tenants.header(Scope.of(["nobody"]), now=now))) == 0
            for scope in (ALL, Scope.of([]), Scope.of(["a", "b"])):
                with pytest.raises(ArgumentError, match="exactly one"):
                    tenants.header(scope, now=now).statement(tables)


@pytest.mark.parametrize(
    "wrong",
    [
        {"search": "x" * 201},
        {"search": "a\x00b"},
        {"search": "\ud800"},
        {"sort": "name; DROP TABLE"},
        {"limit": 0},
        {"limit": 1_001},
        {"offset": -1},
        {"offset": 10**8},
        {"ids": ("a", "b"), "limit": 1},
    ],
)
def test_arguments_that_are_not_accepted_are_named(wrong: dict[str, Any]) -> None:
    query = tenants.portfolio(ALL, **{**PAGE, "now": datetime(2025, 6, 1, tzinfo=UTC), "zone": "UTC", **wrong})
    with pytest.raises(ArgumentError) as caught:
        query.statement()
    assert next(iter(wrong)).rstrip("s") in caught.value.message or "rows" in caught.value.message
