"""What the dashboard must say of a schema, from the plain facts, and whether it does."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pandas as pd

from dashboard.services import Services
from queries.catalog import credits, generations, limits, statements, tenants, usage, users
from queries.period import Period
from queries.runner import Context
from queries.scope import Scope
from tests.queries.connect.world import NOW, STATUSES, Generation, Movement, World

ZONE = "UTC"
EVERYBODY = Scope.all_tenants()
PERIOD = Period.last_days(28, zone=ZONE, now=NOW, grain="day")
KINDS = ("granted", "purchased", "burned", "refunded", "adjusted", "expired")
Number = int | Decimal


@dataclass(frozen=True)
class Expected:
    """The facts as this schema holds them: ids and names of tenants, and which facts it can tell.

    `movements` None: there is no ledger, and charges are derived from generations where these have credits.
    `balances` None: no balance is known. `key` gives a tenant's id as text."""

    world: World
    key: Callable[[int], str]
    names: Mapping[int, str] = field(default_factory=dict)
    has_status: bool = True
    has_users: bool = True
    has_durations: bool = True
    credits_of: Callable[[Generation], Number | None] = lambda one: one.credits
    movements: tuple[Movement, ...] | None = None
    balances: Mapping[int, Number] | None = None
    leaves_deleted_out: bool = False
    explains_balances: bool = True
    quotas: bool = False
    pictures: bool = False
    has_people_names: bool = True
    counters: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def generations(self) -> list[Generation]:
        return [one for one in self.world.generations if not (self.leaves_deleted_out and one.is_deleted)]

    def status(self, one: Generation) -> str:
        return one.status if self.has_status else "succeeded"

    @property
    def ledger(self) -> list[tuple[int, str, Number, datetime]]:
        """tenant, kind, amount, time of each movement."""
        if self.movements is not None:
            return [(one.tenant, one.kind, one.amount, one.at) for one in self.movements]
        used = [(one, self.credits_of(one)) for one in self.generations]
        return [(one.tenant, "burned", -cost, one.created_at) for one, cost in used if cost is not None]


def agrees(services: Services, expected: Expected) -> None:
    """Every figure against its recount."""
    _totals(services, expected)
    _over_time(services, expected)
    _by_tenant(services, expected)
    _flows(services, expected)
    _portfolio(services, expected)
    _statements(services, expected)
    _quotas(services, expected)
    _pictures(services, expected)
    _people(services, expected)
    _counters(services, expected)


def asked(services: Services, query: Any) -> pd.DataFrame:
    return services.runner.run(query, Context(EVERYBODY)).frame


def percentile(values: list[int], share: float) -> float:
    """PostgreSQL's percentile_cont."""
    ordered = sorted(values)
    place = (len(ordered) - 1) * share
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def inside(at: datetime) -> bool:
    return PERIOD.start <= at < PERIOD.until


def _totals(services: Services, expected: Expected) -> None:
    row = asked(services, usage.totals(EVERYBODY, period=PERIOD)).iloc[0]
    made = [one for one in expected.generations if inside(one.created_at)]
    counts = Counter(expected.status(one) for one in made)
    assert row["generations"] == len(made)
    assert {one: row[one] for one in STATUSES} == {one: counts[one] for one in STATUSES}
    took = [one.duration_ms for one in made if expected.status(one) == "succeeded" and one.duration_ms is not None]
    if expected.has_durations:
        assert row["latency_rows"] == len(took)
        for share, column in ((0.5, "p50_ms"), (0.95, "p95_ms"), (0.99, "p99_ms")):
            assert row[column] == percentile([one for one in took if one is not None], share)
    else:
        assert row["latency_rows"] == 0
    if expected.has_users:
        assert row["active_users"] == len({one.person for one in made if expected.status(one) == "succeeded"})
    posted: defaultdict[str, Number] = defaultdict(int)
    for _, kind, amount, at in expected.ledger:
        if inside(at):
            posted[kind] += amount
    assert row["gross_burn_credits"] == -posted["burned"]
    assert row["refunded_credits"] == posted["refunded"]
    assert row["net_burn_credits"] == -posted["burned"] - posted["refunded"]


def _over_time(services: Services, expected: Expected) -> None:
    frame = asked(services, usage.over_time(EVERYBODY, period=PERIOD, split="none"))
    count: Counter[date] = Counter()
    used: defaultdict[date, Number] = defaultdict(int)
    for one in expected.generations:
        if inside(one.created_at):
            count[one.created_at.date()] += 1
            used[one.created_at.date()] += expected.credits_of(one) or 0
    days = [one.local_start.date() for one in PERIOD.buckets()]
    assert [one.date() for one in frame["bucket_start"]] == days
    assert frame["generations"].tolist() == [count[one] for one in days]
    assert frame["burned_credits"].tolist() == [used[one] for one in days]


def _by_tenant(services: Services, expected: Expected) -> None:
    frame = asked(services, usage.over_time(EVERYBODY, period=PERIOD, split="tenant", top=50))
    found = {key: part["generations"].sum() for key, part in frame.groupby("series_id")}
    count = Counter(expected.key(one.tenant) for one in expected.generations if inside(one.created_at))
    assert found == count
    names = {expected.key(number): name for number, name in expected.names.items()}
    assert dict(zip(frame["series_id"], frame["series"], strict=True)) == {key: names[key] for key in count}


def _flows(services: Services, expected: Expected) -> None:
    frame = asked(services, credits.flows(EVERYBODY, period=PERIOD, top=50))
    sums: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for tenant, kind, amount, at in expected.ledger:
        if inside(at):
            taken = kind in ("burned", "expired")
            sums[expected.key(tenant)][kind] += -amount if taken else amount  # type: ignore[assignment]  # or Decimal
    found = {
        key: {kind: part[kind].sum() for kind in KINDS}
        for key, part in frame.groupby("series_id")
        if any(part[kind].sum() for kind in KINDS)
    }
    assert found == {key: {kind: one[kind] for kind in KINDS} for key, one in sums.items()}
    closing = frame["balance_credits"].iloc[-1]
    if expected.balances is None:
        assert pd.isna(closing)
    else:
        later = sum(amount for tenant, _, amount, at in expected.ledger if at >= NOW and tenant in expected.balances)
        assert closing == sum(expected.balances.values()) - later


def _portfolio(services: Services, expected: Expected) -> None:
    matching: dict[str, Any] = {"now": NOW, "zone": ZONE, "search": "", "plans": ()}
    frame = asked(services, tenants.signals(EVERYBODY, **matching))
    listed = {row["tenant_id"]: row for row in frame.to_dict("records")}
    assert {key: row["tenant"] for key, row in listed.items()} == {
        expected.key(number): name for number, name in expected.names.items()
    }
    for one in expected.world.tenants:
        left = listed[expected.key(one.number)]["credits_left"]
        if expected.balances is None or one.number not in expected.balances:
            assert pd.isna(left)
        else:
            assert left == expected.balances[one.number]
    page = {"sort": "generations_28d", "descending": True, "offset": 0, "limit": 100}
    assert len(asked(services, tenants.portfolio(EVERYBODY, **matching, **page))) == len(expected.names)


def _pictures(services: Services, expected: Expected) -> None:
    """The newest generations have their picture where they succeeded, and where pictures are known."""
    frame = asked(services, generations.latest(EVERYBODY, period=PERIOD, offset=0, limit=50))
    newest = sorted((one for one in expected.generations if inside(one.created_at)), key=lambda one: one.created_at)
    shown = [expected.pictures and expected.status(one) == "succeeded" for one in reversed(newest[-50:])]
    assert frame["image_url"].notna().tolist() == shown


def _people(services: Services, expected: Expected) -> None:
    """Who made how much, each a member of their tenant and called by their name."""
    page = {"sort": "generations", "descending": True, "offset": 0, "limit": 100}
    frame = asked(services, users.of_period(EVERYBODY, period=PERIOD, **page))
    count = Counter(one.person for one in expected.generations if inside(one.created_at))
    made = frame[frame["generations"] > 0]
    assert made["generations"].tolist() == sorted(count.values(), reverse=True)
    assert made["is_member"].all()
    names = {one.number: one.name for one in expected.world.people}
    if expected.has_people_names:
        found = dict(zip(made["user"], made["generations"], strict=True))
        assert found == {names[number]: times for number, times in count.items()}


def _counters(services: Services, expected: Expected) -> None:
    """Counters without a date stand on the day of the question, of the database's own clock."""
    # A moment ahead, should midnight lie between this and the question.
    today = Period.last_days(1, zone=ZONE, now=datetime.now(UTC) + timedelta(minutes=1))
    frame = asked(services, limits.by_day(EVERYBODY, period=today, top=10))
    found = {row["type"]: (row["count"], row["limit"]) for row in frame.to_dict("records")}
    assert found == expected.counters


def _quotas(services: Services, expected: Expected) -> None:
    if not expected.quotas:
        return
    frame = asked(services, limits.by_day(EVERYBODY, period=PERIOD, top=10))
    sums: defaultdict[tuple[str, date], list[int]] = defaultdict(lambda: [0, 0])
    for one in expected.world.quotas:
        if PERIOD.first_date <= one.day <= NOW.date():
            sums[one.kind, one.day][0] += one.count
            sums[one.kind, one.day][1] += one.limit
    found = {(row["type"], row["day"]): [row["count"], row["limit"]] for row in frame.to_dict("records")}
    assert found == sums


def _statements(services: Services, expected: Expected) -> None:
    months = (date(2026, 5, 1), date(2026, 6, 1))
    how: dict[str, Any] = {"months": months, "zone": ZONE, "now": NOW, "search": "", "differing": False}
    page = {"sort": "tenant", "descending": False, "offset": 0, "limit": 200}
    frame = asked(services, statements.monthly(EVERYBODY, **how, **page))
    sums: defaultdict[tuple[str, date], defaultdict[str, Number]] = defaultdict(lambda: defaultdict(int))
    for tenant, kind, amount, at in expected.ledger:
        if at >= NOW:
            continue
        for month in months:
            if at < datetime(month.year, month.month, 1, tzinfo=UTC):
                sums[expected.key(tenant), month]["opening"] += amount
            elif (at.year, at.month) == (month.year, month.month):
                sums[expected.key(tenant), month][kind] += -amount if kind in ("burned", "expired") else amount
    for row in frame.to_dict("records"):
        one = sums[row["tenant_id"], row["month"]]
        assert row["opening"] == one["opening"], row["tenant_id"]
        for kind in KINDS:
            assert row[kind] == one[kind], (row["tenant_id"], kind)
        if expected.movements is not None and expected.explains_balances:
            assert row["unexplained"] == 0
    with_movements = {key for key, one in sums.items() if any(one.values())}
    assert with_movements <= {(row["tenant_id"], row["month"]) for row in frame.to_dict("records")}
