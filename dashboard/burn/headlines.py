"""The five figures of the Credit burn page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from dashboard import words
from dashboard.burn.forecast import Forecast
from dashboard.headline import Headline, Source
from dashboard.insights import runway as runways
from dashboard.insights.runway import Runway
from dashboard.tabs import TAB
from queries.period import Period, local_date

# Whoever runs out within so many days is counted.
SOON_DAYS = 30


def figures(
    sums: pd.DataFrame,
    compared: Mapping[str, Any],
    found: Sequence[Forecast],
    period: Period,
    tenant_id: str | None,
    *,
    forecast: Mapping[str, str] | None,
) -> list[Headline]:
    """`sums` are `credits.flows` by bucket, `compared` is `credits.compared`, and the forecasts are as things are.
    `tenant_id` is the one tenant that the page is about, if it is. `forecast` is the address of the page's own view of
    who runs out when, and None where that is open."""
    source = _sources(tenant_id)
    if forecast is not None:
        source |= {"runway": Source("burn", "Burn-down" if tenant_id else "Tenants by runway", forecast)}
    return [
        _burned(sums, compared, period, source["burned"]),
        _burn_rate(found, source["rate"]),
        _left(found, sums, source["left"]),
        _runs_out(found, period, source["runway"]) if tenant_id else _run_out_soon(found, source["runway"]),
        _refunded(sums, compared, period, source["refunded"]),
    ]


def _sources(tenant_id: str | None) -> dict[str, Source]:
    if tenant_id is not None:
        views = {"burned": "Ledger", "rate": "Credits", "left": "Credits", "runway": "Overview", "refunded": "Ledger"}
        return {one: Source("tenant", view, {"tenant": tenant_id, TAB: view}) for one, view in views.items()}
    sorts = {"burned": "Credits burned", "rate": "Credits burned", "left": "Credits left", "refunded": "Success rate"}
    found = {one: Source("tenants", f"Tenants by {sort.lower()}", {"sort": sort}) for one, sort in sorts.items()}
    return found | {"runway": Source("tenants", "Tenants by runway", {"sort": "Runway", "order": "Smallest first"})}


def _burned(sums: pd.DataFrame, compared: Mapping[str, Any], period: Period, source: Source) -> Headline:
    gross, refunded, net = (_sum(sums, one) for one in ("burned", "refunded", "net_burn_credits"))
    complete, before = net - compared["today_net_burn_credits"], compared["previous_net_burn_credits"]
    against = words.days_before(period)
    return Headline(
        "Credits burned",
        words.amount(net),
        f"Net, {words.span(period)}: {words.exact(gross)} charged, {words.exact(refunded)} refunded; complete days:"
        f" {words.exact(complete)}, {against}: {words.exact(before)}",
        words.change(complete, before),
        against,
        spark=_complete(sums, period, "net_burn_credits"),
        source=source,
    )


def _burn_rate(found: Sequence[Forecast], source: Source) -> Headline:
    last, before = (sum(one.row[f"burn_{name}_credits"] or 0 for one in found) for name in ("7d", "prev_7d"))
    return Headline(
        "Burned per day",
        words.amount(words.per_day(last, 7)),
        f"{words.exact(last)} credits net in the last 7 complete days, {words.exact(before)} in the 7 before; the line:"
        " day by day, the last 8 weeks",
        words.change(last, before),
        "7 d before",
        spark=_daily(found),
        source=source,
    )


def _left(found: Sequence[Forecast], sums: pd.DataFrame, source: Source) -> Headline:
    known = [one.row["credits_left"] for one in found if one.row["credits_left"] is not None]
    missing = len(found) - len(known)
    unknown = f"; {words.counted(missing, 'tenant')} without a balance left out" if missing else ""
    balances = [words.known(one) for one in sums["balance_credits"]]
    return Headline(
        "Credits left now",
        words.amount(sum(known)) if known else words.NOT_ENOUGH,
        f"{words.exact(sum(known))} posted to {words.counted(len(known), 'tenant')}{unknown}"
        if known
        else "No balance is known",
        note="posted balance" if not missing else f"{words.counted(missing, 'tenant')} without",
        spark=[] if None in balances else balances,
        source=source,
    )


def _run_out_soon(found: Sequence[Forecast], source: Source) -> Headline:
    soon = [one for one in found if one.as_it_is.state == "runs_out" and (one.as_it_is.p50_days or 0) <= SOON_DAYS]
    empty = sum(one.as_it_is.state == "empty" for one in found)
    early = sum(any(flag.rule == "runs_out_before_renewal" for flag in one.flags) for one in soon)
    return Headline(
        f"Run out in {SOON_DAYS} days",
        words.amount(len(soon)),
        f"Tenants whose middle forecast (P50) runs out within {SOON_DAYS} days if the pattern of the last 8 weeks"
        f" continues, {words.exact(early)} of them before their renewal; {words.exact(empty)} more are empty already",
        note=f"{early} before renewal, {empty} empty",
        source=source,
    )


def _runs_out(found: Sequence[Forecast], period: Period, source: Source) -> Headline:
    if not found:
        return Headline("Runway", words.NOT_ENOUGH, "This tenant has no figures yet", source=source)
    runway, today = found[0].as_it_is, local_date(period.now, period.zone)
    return Headline(
        "Runway",
        runways.short(runway, today).partition(" (")[0],
        runways.sentence(runway, today),
        note=_between(runway),
        source=source,
    )


def _between(runway: Runway) -> str:
    """The bounds of the forecast, or why there is none, short."""
    beyond = f"> {runway.horizon_days}"
    early, late = (beyond if one is None else str(one) for one in (runway.p10_days, runway.p90_days))
    said = {
        "empty": "nothing left to burn",
        "no_burn": "nothing burned in 8 weeks",
        "short_history": f"under {runways.LEAST_DAYS} complete days",
        "no_balance": "no balance is known",
    }
    return said.get(runway.state, f"{early} to {late} d (P10 to P90)")


def _refunded(sums: pd.DataFrame, compared: Mapping[str, Any], period: Period, source: Source) -> Headline:
    gross, refunded = _sum(sums, "burned"), _sum(sums, "refunded")
    complete = _share(refunded - compared["today_refunded_credits"], gross - compared["today_gross_burn_credits"])
    before = _share(compared["previous_refunded_credits"], compared["previous_gross_burn_credits"])
    return Headline(
        "Refunded share",
        words.percent(_share(refunded, gross)),
        f"{words.exact(refunded)} credits refunded of {words.exact(gross)} charged; a refund counts on the day it was"
        " returned"
        if gross
        else "Nothing was charged in this period",
        words.change_points(complete, before),
        words.days_before(period),
        good="down",
        source=source,
    )


def _sum(sums: pd.DataFrame, name: str) -> Any:
    return sum((words.known(one) for one in sums[name]), 0)


def _share(part: Any, whole: Any) -> float | None:
    return float(part / whole) if whole and whole > 0 else None


def _complete(sums: pd.DataFrame, period: Period, name: str) -> list[Any]:
    """The values of the buckets that are over."""
    return [one for one, bucket in zip(sums[name].tolist(), period.buckets(), strict=True) if not bucket.in_progress]


def _daily(found: Sequence[Forecast]) -> list[float]:
    """What all tenants burned on each complete day of the last 8 weeks."""
    days = [np.array([float(value) for value in one.row["burn_daily"]]) for one in found]
    return np.sum(days, axis=0).tolist() if days else []
