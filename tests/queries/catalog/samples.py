"""One accepted set of arguments, or more, for every question that the catalog can ask."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import queries.catalog  # noqa: F401 - makes every question known
from queries.catalog import statements, tenants
from queries.period import Period
from queries.query import CATALOG, Query
from queries.scope import Scope

# Questions that only one tenant's scope can ask.
OF_ONE_TENANT = (
    *("tenants.header", "ledger.page", "ledger.reconciliation"),
    *("statements.difference", "statements.suspects", "statements.balances_seen"),
)


def sample_arguments(now: datetime, zone: str) -> dict[str, list[dict[str, Any]]]:
    """Arguments by name of the question: every split, sorts of each kind, with and without filters."""
    period = Period.last_days(28, zone=zone, now=now, grain="day")
    chosen = {"search": "e", "plans": ("PRO", "")}
    every = {"search": "", "plans": ()}
    moment = {"now": now, "zone": zone}
    page = {"offset": 0, "limit": 50}
    months = tuple(month for month in (date(2025, 1, 1), date(2025, 5, 1), date(2025, 6, 1)) if month <= now.date())
    of_months = {**moment, "months": months}
    of_month = {**moment, "month": months[-1]}
    return {
        "tenants.signals": [{**moment, **every}, {**moment, **chosen}],
        "tenants.portfolio": [
            *({**moment, **every, **page, "sort": one, "descending": True} for one in tenants.SORTS),
            {**moment, **chosen, **page, "sort": "tenant", "descending": False},
            {**moment, **chosen, **page, "sort": "change_7d", "descending": False},
            {**moment, **every, **page, "sort": "tenant", "descending": False, "ids": ("b", "a", "org' -- %")},
        ],
        "tenants.cohorts": [{**moment, "weeks": 12}],
        "tenants.tenant_choices": [{"search": "", "limit": 20}, {"search": "e", "limit": 20}],
        "tenants.plans": [{}],
        "tenants.header": [{"now": now}],
        "usage.over_time": [
            {"period": period.with_grain("hour"), "split": "none"},
            *({"period": period, "split": one, "top": 3} for one in ("type", "status", "model", "user", "tenant")),
        ],
        "usage.breakdown": [
            {"period": period, "split": one, "top": 3} for one in ("type", "status", "model", "user", "tenant")
        ],
        "usage.daily": [{"period": period}],
        "usage.totals": [{"period": period}],
        "usage.newest": [{}],
        "timelines.latency": [{"period": period}],
        "timelines.latency_by_series": [
            {"period": period, "split": one, "top": 2} for one in ("type", "model", "user", "tenant")
        ],
        "timelines.failures": [{"period": period, "top": 3}, {"period": period.with_grain("week"), "top": 1}],
        "timelines.hours": [{"period": period.with_grain("hour")}],
        "timelines.live": [{**moment, "minutes": 60}],
        "credits.burn_over_time": [{"period": period}],
        "credits.movements": [{"period": period.with_grain("month")}],
        "credits.flows": [{"period": period, "top": 3}, {"period": period.with_grain("month"), "top": 1}],
        "credits.compared": [{"period": period}],
        "notes.pinned": [{"period": period}, {"period": period, "version": "2"}],
        "generations.latest": [
            {"period": period, "offset": 0, "limit": 20},
            {"period": period, "offset": 1, "limit": 20, "user_id": "nobody"},
            {"period": period, **page, "status": "FAILED", "generation_type": "UPSCALE", "model": "m1"},
        ],
        "generations.stuck": [{"now": now, **page}],
        "generations.pictures": [{"generation_ids": ("1", "2"), "since": datetime(2025, 1, 1, tzinfo=UTC)}],
        "generations.picture": [{"image_id": "1"}],
        "latency.over_time": [{"period": period}],
        "ledger.page": [{"period": period, **page}, {"period": period, "offset": 2, "limit": 20}],
        "ledger.reconciliation": [{}],
        "statements.monthly": [
            *(
                {**of_months, **page, "search": "", "differing": False, "sort": one, "descending": True}
                for one in statements.SORTS
            ),
            {**of_months, **page, "search": "a", "differing": True, "sort": "tenant", "descending": False},
        ],
        "statements.totals": [{**of_months, "search": ""}, {**of_months, "search": "a", "version": "2"}],
        "statements.prices": [{**of_months, "search": ""}, {**of_months, "search": "a"}],
        "statements.corrections": [{**of_months, **page}],
        "statements.taken_off": [of_months],
        "statements.difference": [of_month],
        "statements.suspects": [{**of_month, **page}],
        "statements.balances_seen": [of_month],
        "limits.by_day": [{"period": period, "top": 3}],
        "users.of_period": [
            {"period": period, **page, "sort": "generations", "descending": True},
            {"period": period, **page, "sort": "user", "descending": False},
        ],
    }


def samples(scope: Scope, now: datetime, zone: str) -> Iterator[Query]:
    """Every question of the catalog with its sample arguments, in this scope; where a question is of one tenant and
    the scope is not, it is left out."""
    for name, given in sample_arguments(now, zone).items():
        if name in OF_ONE_TENANT and (scope.ids is None or len(scope.ids) != 1):
            continue
        for arguments in given:
            yield CATALOG[name].function(scope, **arguments)
