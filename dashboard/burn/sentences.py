"""What the Credit burn page says about a balance and its forecast."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import pandas as pd

from dashboard import words
from dashboard.burn import forecast
from dashboard.burn.forecast import Forecast, WhatIf
from dashboard.figures.movements import KINDS
from dashboard.insights import runway as runways
from queries.period import local_date


def what_if(chosen: WhatIf, is_one: bool) -> str:
    """ "If they buy 5,000 credits now and burn 20 % more"; nothing without a what-if."""
    who, s = ("they", "") if is_one else ("each tenant", "s")
    parts = [f"buy{s} {words.exact(chosen.buys_credits)} credits now"] if chosen.buys_credits else []
    if chosen.change_percent:
        more = "more" if chosen.change_percent > 0 else "less"
        parts.append(f"burn{s} {abs(chosen.change_percent)} % {more}")
    return f"If {who} {' and '.join(parts)}" if parts else ""


def runs_out(one: Forecast, today: date, chosen: WhatIf) -> str:
    """When the credits run out, with the what-if in front and things as they are behind."""
    said = runways.sentence(one.runway, today)
    condition = what_if(chosen, is_one=True)
    if not condition:
        return said
    return f"{condition}: {said[:1].lower()}{said[1:]} As it is: {runways.short(one.as_it_is, today)}."


def about_balance(balances: Sequence[Any], sums: pd.DataFrame) -> str:
    """What the line of balances is, and whom it leaves out. `balances` are the posted ones, None where there is none;
    `sums` is `credits.flows` by bucket."""
    missing = sum(one is None for one in balances)
    moved = "" if sums[list(KINDS)].any(axis=None) else "The ledger has no movement in this period. "
    if missing == len(balances):
        return f"{moved}No balance is known, so there is no line."
    without = f" {words.counted(missing, 'tenant')} without a balance left out." if missing else ""
    return (
        f"{moved}Line: the posted balance of now less all that the ledger posted later, so it is exact as far as ledger"
        f" and balance agree.{without}"
    )


def about_fan(one: Forecast, now: datetime, zone: str) -> str:
    """What the forecast stands on: the credits that are known to come, and what the shapes mean."""
    left = one.row["credits_left"]
    said = ["The balance is negative: more was charged than was there."] if left is not None and left < 0 else []
    said.append(_counted_on(one, now, zone))
    if one.runway.state in ("runs_out", "beyond"):
        said.append("Dashed: the middle (P50); band: P10 to P90.")
    return " ".join(said)


def _counted_on(one: Forecast, now: datetime, zone: str) -> str:
    renews, granted = words.utc(one.row["renews_at"]), one.row["credits_per_period"]
    times = int((forecast.grants_of(one.row, now, zone) > 0).sum())
    if renews is None:
        return "No subscription is known, so no credits are counted on."
    if not one.row["renewing"]:
        return "The subscription will not renew, so no credits are counted on."
    if renews < now:
        return "The renewal is overdue, so its credits are not counted on."
    day = words.day(local_date(renews, zone))
    if not times:
        return f"The renewal on {day} brings no credits within {runways.HORIZON_DAYS} days."
    after = ", and on each renewal after it" if times > 1 else ""
    return f"Counted on: {words.exact(granted)} credits on {day}{after}."
