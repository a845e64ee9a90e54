"""The report of tenants: the rows of the Tenants page, with their flags and forecasts, as a table of exact columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa

from dashboard import outlook, words
from dashboard.filters import NOW_STEP_S
from dashboard.insights.runway import short
from dashboard.outlook import Outlook
from dashboard.services import Services
from dashboard.tables.tenants import flag_words
from queries.catalog import tenants
from queries.context import Context
from queries.exports.reports import Order
from queries.period import floored, local_date

# The columns of the file that are, under another name, figures of `tenants.signals`.
_FIGURES: Mapping[str, str] = {
    "credits_left": "credits_left",
    "credits_per_period": "credits_per_period",
    "net_burn_28d_credits": "burn_28d_credits",
    "net_burn_7d_credits": "burn_7d_credits",
    "net_burn_previous_7d_credits": "burn_prev_7d_credits",
    "generations_28d": "generations_28d",
    "succeeded_28d": "succeeded_28d",
    "failed_28d": "failed_28d",
    "active_users_28d": "active_users_28d",
    "active_users_7d": "active_users_7d",
    "limit_hit_days_28d": "limit_hit_days_28d",
}
_TIMES: Mapping[str, str] = {"last_seen_at_utc": "last_seen_at", "renews_at_utc": "renews_at"}


def portfolio_table(services: Services, order: Order) -> tuple[pa.Table, datetime]:
    """All tenants of the order as the Tenants page has them now, in the order of their ids, and as of when."""
    now = floored(order.now, NOW_STEP_S)
    asked = tenants.signals(order.scope, now=now, zone=order.zone, search="", plans=())
    result = services.runner.run(asked, Context(order.scope, page="exports"))
    outlooks = sorted(outlook.of_result(result, now, order.zone), key=lambda one: one.tenant_id)
    columns = _columns(outlooks, now, order.zone)
    figures = pa.Table.from_pandas(result.frame[list(_FIGURES.values())], preserve_index=False).schema
    arrays = [
        pa.array(columns[name], figures.field(_FIGURES[name]).type if name in _FIGURES else _type(name))
        for name in order.what.header
    ]
    return pa.table(arrays, names=list(order.what.header)), result.as_of


def _columns(outlooks: Sequence[Outlook], now: datetime, zone: str) -> dict[str, list[Any]]:
    today = local_date(now, zone)
    rows = [one.row for one in outlooks]
    return {
        "tenant_id": [one.tenant_id for one in outlooks],
        "tenant": [one.tenant for one in outlooks],
        "plan": [one["plan"] for one in rows],
        "flags": [flag_words(one) or None for one in outlooks],
        "runway": [short(one.runway, today) for one in outlooks],
        "runway_p10_days": [one.runway.p10_days for one in outlooks],
        "runway_p50_days": [one.runway.p50_days for one in outlooks],
        "runway_p90_days": [one.runway.p90_days for one in outlooks],
        **{name: [one[figure] for one in rows] for name, figure in _FIGURES.items()},
        **{name: [words.utc(one[figure]) for one in rows] for name, figure in _TIMES.items()},
        "date": [today] * len(rows),
        "zone": [zone] * len(rows),
    }


def _type(name: str) -> pa.DataType:
    if name in _TIMES:
        return pa.timestamp("us", "UTC")
    if name.endswith("_days"):
        return pa.int64()
    return pa.date32() if name == "date" else pa.string()
