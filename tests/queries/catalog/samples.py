"""One accepted set of arguments, or more, for every question that the catalog can ask."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import queries.catalog  # noqa: F401 - makes every question known
from queries.period import Period
from queries.query import CATALOG, Query
from queries.scope import Scope

# Questions that only one tenant's scope can ask.
OF_ONE_TENANT = ("tenants.header",)


def sample_arguments(now: datetime, zone: str) -> dict[str, list[dict[str, Any]]]:
    """Arguments by name of the question: every split, sorts of each kind, with and without filters."""
    period = Period.last_days(28, zone=zone, now=now, grain="day")
    chosen = {"search": "e", "plans": ("PRO", "")}
    every = {"search": "", "plans": ()}
    moment = {"now": now, "zone": zone}
    page = {"offset": 0, "limit": 50}
    return {
        "tenants.portfolio": [
            {**moment, **every, **page, "sort": "burn_28d_credits", "descending": True},
            {**moment, **chosen, **page, "sort": "tenant", "descending": False},
            {**moment, **every, **page, "sort": "last_seen_at", "descending": True},
        ],
        "tenants.portfolio_totals": [{**moment, **every}, {**moment, **chosen}],
        "tenants.portfolio_daily": [{"period": period, **every}, {"period": period, **chosen}],
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
        "credits.burn_over_time": [{"period": period}],
        "credits.movements": [{"period": period.with_grain("month")}],
        "generations.latest": [
            {"period": period, "offset": 0, "limit": 20},
            {"period": period, "offset": 1, "limit": 20, "user_id": "nobody"},
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
