"""How a tenant's credits stand, in sentences: what is left, how long it lasts, what is used, and the renewal."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from dashboard import words
from dashboard.insights import flags, runway
from dashboard.insights.runway import Runway
from queries.period import local_date

NO_BALANCE = "No credit balance is known for this tenant, so nothing says what is left."


def lines(row: Mapping[str, Any], lasts: Runway | None, now: datetime, zone: str) -> list[str]:
    """Credits left, runway, pacing and renewal from one row of `tenants.signals`."""
    said = [left(row), *lasting(lasts, now, zone), *pace(row, now), renewal(row, now, zone)]
    return [one for one in said if one]


def left(row: Mapping[str, Any]) -> str:
    """The posted balance; a negative one says so."""
    posted = row["credits_left"]
    if posted is None:
        return NO_BALANCE
    text = f"{words.exact(posted)} credits left"
    if row["credits_per_period"]:
        text += f" of {words.exact(row['credits_per_period'])} per period"
    return f"{text}: more was charged than was there." if posted < 0 else f"{text}."


def lasting(lasts: Runway | None, now: datetime, zone: str) -> list[str]:
    """When the balance runs out; nothing more to say where there is no balance."""
    if lasts is None or lasts.state == "no_balance":
        return []
    return [runway.sentence(lasts, local_date(now, zone))]


def pace(row: Mapping[str, Any], now: datetime) -> list[str]:
    """Utilisation and pacing, or why there is none."""
    used, passed, pacing = flags.utilisation(row), flags.elapsed(row, now), flags.pacing(row, now)
    if used is None or passed is None or pacing is None:
        return []
    return [
        f"{words.percent(used)} of this period's credits are used and {words.percent(passed)} of the period has passed"
        f" (pacing {pacing:.2f})."
    ]


def renewal(row: Mapping[str, Any], now: datetime, zone: str) -> str:
    """Plan, status and the renewal with days left."""
    plan = words.readable(row["plan"]) if row["plan"] else None
    status = words.readable(row["subscription_status"]).lower() if row["subscription_status"] else None
    renews = words.utc(row["renews_at"])
    if plan is None:
        return "No subscription is known, so there is no renewal to wait for."
    if renews is None:
        return f"Plan {plan}{f', {status}' if status else ''}; no renewal date is known."
    day, today = local_date(renews, zone), local_date(now, zone)
    verb = "renews" if renews > now else "was due for renewal"
    if row.get("renewing") is False:
        verb = "ends" if renews > now else "ended"
    return f"Plan {plan}{f', {status}' if status else ''}; {verb} on {words.day(day)} ({words.days_left(day, today)})."
