"""Which tenants of an outlook are listed, and in which order: what the database cannot know of flags and forecasts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from dashboard.insights.rates import success_rate
from dashboard.listing import AT_RISK, RUNNING_OUT, UPSELL, Listing
from dashboard.outlook import Outlook
from dashboard.tables.cells import PAGE_ROWS

# Beyond the horizon, and without any burn: longer than every number of days.
_BEYOND, _NEVER = 10_000, 20_000

_KEPT: dict[str, Callable[[Outlook], bool]] = {
    AT_RISK: lambda one: one.has("at_risk"),
    UPSELL: lambda one: one.has("upsell"),
    RUNNING_OUT: Outlook.is_running_out,
}


def kept(outlooks: Sequence[Outlook], flags: str) -> list[Outlook]:
    """Those with the flags that are asked for; all of them when none are."""
    return [one for one in outlooks if flags not in _KEPT or _KEPT[flags](one)]


def in_order(outlooks: Sequence[Outlook], sort: str, *, descending: bool) -> list[Outlook]:
    """In the order of the list, those whose figure is unknown last, equal ones by id."""
    figures = {one.tenant_id: _figure(one, sort) for one in outlooks}
    known = sorted((one for one in outlooks if figures[one.tenant_id] is not None), key=lambda one: one.tenant_id)
    known.sort(key=lambda one: figures[one.tenant_id], reverse=descending)
    return known + [one for one in outlooks if figures[one.tenant_id] is None]


def page_ids(outlooks: Sequence[Outlook], wanted: Listing) -> tuple[str, ...]:
    """The tenants of the page that is asked for, in order."""
    first = (wanted.page - 1) * PAGE_ROWS
    listed = in_order(kept(outlooks, wanted.flags), wanted.sort, descending=wanted.descending)
    return tuple(one.tenant_id for one in listed[first : first + PAGE_ROWS])


def change_7d(one: Outlook) -> float | None:
    """Burn of the last 7 complete days against the 7 before; None against a base of nothing."""
    base = one.row["burn_prev_7d_credits"]
    return float((one.row["burn_7d_credits"] - base) / base) if base > 0 else None


def _figure(one: Outlook, sort: str) -> Any:
    row = one.row
    match sort:
        case "call_first":
            return (one.priority, row["burn_28d_credits"])
        case "runway":
            return _runway_days(one)
        case "change_7d":
            return change_7d(one)
        case "success_rate":
            rate = success_rate(row["succeeded_28d"], row["failed_28d"])
            return None if rate is None else rate.value
        case "tenant":
            return one.tenant.lower()
        case _:
            return row[sort]


def _runway_days(one: Outlook) -> int | None:
    match one.runway.state:
        case "empty":
            return -1
        case "runs_out":
            return one.runway.p50_days
        case "beyond":
            return _BEYOND
        case "no_burn":
            return _NEVER
        case _:
            return None
