"""Figures of many tenants, and of one, against the same figures counted over plain rows."""

from datetime import UTC, datetime, timedelta
from statistics import quantiles
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queries.catalog import tenants
from queries.errors import ArgumentError
from queries.period import Period, local_date, local_midnight
from queries.scope import Scope
from tests.queries.catalog.conftest import OpenWorld
from tests.queries.catalog.world import (
    HOSTILE_ZONES,
    NAMES,
    SHAPES,
    ZONES,
    Shape,
    Tenant,
    World,
    ask,
    bucket_name,
    made_world,
    net_burn,
    period_around,
    rows_of,
    transitions,
)

ALL = Scope.all_tenants()
SEEDS = st.integers(0, 10**6)
PAGE = {"search": "", "plans": (), "sort": "tenant_id", "descending": False, "offset": 0, "limit": 50}


def expected_row(world: World, tenant: Tenant, now: datetime, zone: str) -> dict[str, Any]:
    """A row of the portfolio, counted."""

    def days_ago(days: int) -> datetime:
        return local_midnight(local_date(now, zone) - timedelta(days=days), zone)

    def own(first: int, last: int = 0) -> list[Any]:
        return [one for one in world.within(days_ago(first), days_ago(last)) if one.tenant == tenant.id]

    def burn(first: int, last: int = 0) -> Any:
        return net_burn([one for one in world.posted(days_ago(first), days_ago(last)) if one.tenant == tenant.id])

    succeeded = sum(one.status == "SUCCEEDED" for one in own(28))
    failed = sum(one.status == "FAILED" for one in own(28))
    latest, base = len(own(7)), len(own(14, 7))
    seen = [one.created_at for one in world.generations if one.tenant == tenant.id and one.created_at < now]
    return {
        "tenant": tenant.name,
        "plan": tenant.plan,
        "credits_left": tenant.balance,
        "credits_per_period": None if tenant.plan is None else 500,
        "burn_28d_credits": burn(28),
        "generations_28d": len(own(28)),
        "generations_7d": latest,
        "generations_prev_7d": base,
        "change_7d": pytest.approx((latest - base) / base) if base else None,
        "is_new": base == 0 and latest > 0,
        "succeeded_28d": succeeded,
        "failed_28d": failed,
        "success_rate": pytest.approx(succeeded / (succeeded + failed)) if succeeded + failed else None,
        "last_seen_at": max(seen, default=None),
        "burn_daily": [burn(28 - number, 27 - number) for number in range(28)],
    }


def expected_p95(world: World, now: datetime, zone: str, tenants_of: set[object] | None = None) -> object:
    """The 95th percentile of successful durations in the last 28 complete days; None under 20 of them."""
    today = local_date(now, zone)
    inside = world.within(local_midnight(today - timedelta(days=28), zone), local_midnight(today, zone))
    took = [
        one.duration_ms
        for one in inside
        if one.status == "SUCCEEDED"
        and one.duration_ms is not None
        and (tenants_of is None or one.tenant in tenants_of)
    ]
    return pytest.approx(quantiles(took, n=100, method="inclusive")[94]) if len(took) >= 20 else None


@settings(max_examples=16)
@given(SEEDS, st.sampled_from(SHAPES), st.sampled_from(ZONES), st.integers(-3, 40))
def test_the_portfolio_and_its_totals(open_world: OpenWorld, seed: int, shape: Shape, zone: str, days: int) -> None:
    centre = transitions(zone)[0]
    now = centre + timedelta(days=days)
    world = made_world(seed, shape, centre, days=20)
    moment = {"now": now, "zone": zone}
    with open_world(shape, world, HOSTILE_ZONES[seed % 3]) as (connection, tables):
        found = rows_of(ask(connection, tables, tenants.portfolio(ALL, **moment, **PAGE)))
        total = rows_of(ask(connection, tables, tenants.portfolio_totals(ALL, **moment, search="", plans=())))[0]
    by_id = {one["tenant_id"]: one for one in found}
    assert set(by_id) == {str(one.id) for one in world.tenants}
    rows = []
    for tenant in world.tenants:
        expected = expected_row(world, tenant, now, zone)
        row = by_id[str(tenant.id)]
        assert row["matching_tenants"] == 4
        assert row["renews_at"] == (None if tenant.plan is None else tenant.period_start + timedelta(days=30))
        assert {key: list(row[key]) if key == "burn_daily" else row[key] for key in expected} == expected
        rows.append(row)
    for name in ("generations_28d", "burn_28d_credits", "succeeded_28d", "failed_28d"):
        assert total[name] == sum(one[name] for one in rows)
    assert total["tenants"] == 4
    assert total["active_tenants_28d"] == sum(one["succeeded_28d"] > 0 for one in rows)
    assert total["credits_left"] == sum(one["credits_left"] or 0 for one in rows)
    weeks = [sum(one["burn_daily"][-7:]) for one in rows]
    pairs = zip(rows, weeks, strict=True)
    is_low = [one["credits_left"] is not None and week > 0 and one["credits_left"] < week for one, week in pairs]
    assert total["running_low"] == sum(is_low)
    assert total["p95_ms"] == expected_p95(world, now, zone)
    start, end = (local_midnight(local_date(now, zone) - timedelta(days=one), zone) for one in (56, 28))
    before = world.within(start, end)
    assert total["generations_prev_28d"] == len(before)
    assert total["succeeded_prev_28d"] == sum(one.status == "SUCCEEDED" for one in before)
    assert total["failed_prev_28d"] == sum(one.status == "FAILED" for one in before)
    assert total["active_tenants_prev_28d"] == len({one.tenant for one in before if one.status == "SUCCEEDED"})
    assert total["burn_prev_28d_credits"] == net_burn(world.posted(start, end))


@settings(max_examples=16)
@given(SEEDS, st.sampled_from(SHAPES), st.sampled_from(ZONES), st.booleans())
def test_each_day_of_the_portfolio(
    open_world: OpenWorld, seed: int, shape: Shape, zone: str, is_searched: bool
) -> None:
    centre = transitions(zone)[0]
    world = made_world(seed, shape, centre)
    search = world.tenants[seed % 4].name if is_searched else ""
    period = period_around(centre, zone, "day", 3, 4, centre + timedelta(hours=seed % 200 - 50))
    with open_world(shape, world, HOSTILE_ZONES[seed % 3]) as (connection, tables):
        query = tenants.portfolio_daily(ALL, period=period, search=search, plans=())
        found = rows_of(ask(connection, tables, query))
    wanted = {one.id for one in world.tenants if search.lower() in one.name.lower()}
    days = [one.local_start.date() for one in period.buckets()]
    assert [bucket_name(one["bucket_start"].to_pydatetime(), "day", zone) for one in found] == days
    usage = [one for one in world.within(period.start, period.until) if one.tenant in wanted]
    moved = [one for one in world.posted(period.start, period.until) if one.tenant in wanted]
    for day, row in zip(days, found, strict=True):
        own = [one for one in usage if bucket_name(one.created_at, "day", zone) == day]
        assert {key: value for key, value in row.items() if key != "bucket_start"} == {
            "generations": len(own),
            "succeeded": sum(one.status == "SUCCEEDED" for one in own),
            "failed": sum(one.status == "FAILED" for one in own),
            "active_tenants": len({one.tenant for one in own if one.status == "SUCCEEDED"}),
            "net_burn_credits": net_burn([one for one in moved if bucket_name(one.posted_at, "day", zone) == day]),
        }


@settings(max_examples=13)
@given(SEEDS, st.sampled_from(tenants.SORTS), st.booleans(), st.integers(1, 4))
def test_pages_follow_each_other_in_the_chosen_order(
    open_world: OpenWorld, seed: int, sort: str, descending: bool, limit: int
) -> None:
    centre = transitions("UTC")[0]
    world = made_world(seed, "prisma", centre, days=20)
    chosen = {**PAGE, "now": centre + timedelta(days=9), "zone": "UTC", "sort": sort, "descending": descending}
    with open_world("prisma", world) as (connection, tables):
        whole = rows_of(ask(connection, tables, tenants.portfolio(ALL, **chosen)))
        paged = []
        for offset in range(0, 4, limit):
            query = tenants.portfolio(ALL, **{**chosen, "offset": offset, "limit": limit})
            paged += rows_of(ask(connection, tables, query))
    assert [one["tenant_id"] for one in paged] == [one["tenant_id"] for one in whole]
    values = [one[sort] for one in whole]
    known = [one for one in values if one is not None]
    assert values == known + [None] * (len(values) - len(known))
    if sort == "plan":
        known = [("FREE", "STARTER", "PRO", "BUSINESS").index(one) for one in known]
    elif sort == "tenant":
        known = [len({other for other in known if other < one}) if one.isascii() else None for one in known]
    if sort != "tenant":  # text is ordered by the database's own collation
        assert known == sorted(known, reverse=descending)


@settings(max_examples=16)
@given(
    SEEDS,
    st.sampled_from((*NAMES, "%", "_", "\\", "/", "a", "ADA", "' OR '1'='1")),
    st.sampled_from(((), ("PRO",), ("", "FREE"), ("Ω",))),
)
def test_search_is_literal_and_plans_filter(
    open_world: OpenWorld, seed: int, search: str, plans: tuple[str, ...]
) -> None:
    centre = transitions("UTC")[0]
    world = made_world(seed, "prisma", centre)
    now = centre + timedelta(days=2)
    period = Period.last_days(5, zone="UTC", now=now, grain="day")
    named = [one for one in world.tenants if search.lower() in one.name.lower()]
    wanted = {one.id for one in named if not plans or (one.plan or "") in plans}
    with open_world("prisma", world) as (connection, tables):
        chosen = {"search": search, "plans": plans}
        found = rows_of(ask(connection, tables, tenants.portfolio(ALL, now=now, zone="UTC", **{**PAGE, **chosen})))
        total = rows_of(ask(connection, tables, tenants.portfolio_totals(ALL, now=now, zone="UTC", **chosen)))[0]
        daily = rows_of(ask(connection, tables, tenants.portfolio_daily(ALL, period=period, **chosen)))
        choices = rows_of(ask(connection, tables, tenants.tenant_choices(ALL, search=search, limit=10)))
        plan_rows = rows_of(ask(connection, tables, tenants.plans(ALL)))
    assert {one["tenant_id"] for one in found} == wanted
    assert {one["matching_tenants"] for one in found} <= {len(wanted)}
    assert total["tenants"] == len(wanted)
    assert total["p95_ms"] == expected_p95(world, now, "UTC", wanted)
    assert {(one["tenant_id"], one["tenant"]) for one in choices} == {(one.id, one.name) for one in named}
    assert {one["plan"]: one["tenants"] for one in plan_rows} == {
        plan: count for plan in ("", "FREE", "PRO") if (count := sum((one.plan or "") == plan for one in world.tenants))
    }
    inside = [one for one in world.within(period.start, period.until) if one.tenant in wanted]
    assert len(daily) == len(period.buckets())
    assert sum(one["generations"] for one in daily) == len(inside)
    moved = [one for one in world.posted(period.start, period.until) if one.tenant in wanted]
    assert sum(one["net_burn_credits"] for one in daily) == net_burn(moved)


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
    ],
)
def test_arguments_that_are_not_accepted_are_named(wrong: dict[str, Any]) -> None:
    query = tenants.portfolio(ALL, **{**PAGE, "now": datetime(2025, 6, 1, tzinfo=UTC), "zone": "UTC", **wrong})
    with pytest.raises(ArgumentError) as caught:
        query.statement()
    assert next(iter(wrong)).rstrip("s") in caught.value.message or "rows" in caught.value.message
