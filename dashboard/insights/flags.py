"""What an account manager should know before a call: at risk, or ready for more, each with its reason and numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

from dashboard import words
from dashboard.insights.runway import Runway
from queries.period import local_date

Kind = Literal["at_risk", "upsell"]
Row = Mapping[str, Any]

BURN_FELL_SHARE = 0.3
BURN_BASE_GENERATIONS = 20
SILENT_DAYS = 14
USERS_BASE = 4
SUCCESS_LEAST = 0.95
SUCCESS_BASE_ENDED = 20
PACING_LEAST = 0.5
PACING_WITHIN_DAYS = 30
PACING_FROM_DAYS = 7
LIMIT_HIT_DAYS = 3
UTILISATION_MOST = 0.8
# Without a renewal ahead, credits that end within so many days are said to run out.
RUNNING_OUT_DAYS = 14
# A subscription period is at most so long; a date far away is a mistake in the application.
_LONGEST_PERIOD_DAYS = 400
RUNNING_OUT = ("runs_out_before_renewal", "runs_out_soon")
# In `priority`, a reason to sell more that can wait counts this much of one that cannot.
_CAN_WAIT = 0.25


@dataclass(frozen=True, slots=True)
class Flag:
    """`rule` is a stable slug; `sentence` is the reason with its numbers."""

    kind: Kind
    rule: str
    sentence: str


def flags(row: Row, runway: Runway | None, *, now: datetime, zone: str) -> list[Flag]:
    """Every rule that holds for one row of `tenants.signals`, at risk first. A rule that lacks its figures is quiet."""
    today = local_date(now, zone)
    rules: tuple[tuple[Kind, str, str | None], ...] = (
        ("at_risk", "burn_down", _burn_down(row)),
        ("at_risk", "silent", _silent(row, now, zone)),
        ("at_risk", "users_halved", _users_halved(row)),
        ("at_risk", "failing", _failing(row)),
        ("at_risk", "under_paced", _under_paced(row, now, zone)),
        ("upsell", "runs_out_before_renewal", _runs_out_before_renewal(row, runway, today, now, zone)),
        ("upsell", "runs_out_soon", _runs_out_soon(row, runway, today)),
        ("upsell", "limit_hits", _limit_hits(row)),
        ("upsell", "high_utilisation", _high_utilisation(row, now)),
    )
    return [Flag(kind, rule, reason) for kind, rule, reason in rules if reason is not None]


def no_period(row: Row, now: datetime) -> str:
    """Why no subscription period is known that runs now, as a fact in lower case; empty when one is."""
    start, end = words.utc(row.get("period_start")), words.utc(row.get("renews_at"))
    if start is None or end is None:
        return "no subscription period is known"
    if not start <= now < end:
        return "the subscription period does not hold today"
    if end - start > timedelta(days=_LONGEST_PERIOD_DAYS):
        return f"the subscription period is longer than {_LONGEST_PERIOD_DAYS} days"
    return ""


def left_share(row: Row, now: datetime) -> float | None:
    """The posted balance over the credits of a period, which may be over 1 where credits were bought beside; None where
    one of them is not known, or no period runs now."""
    left, granted = _number(row, "credits_left"), _number(row, "credits_per_period")
    return left / granted if left is not None and granted and not no_period(row, now) else None


def utilisation(row: Row) -> float | None:
    """Net burn of the subscription period over the credits that were there for it; None where that is not known."""
    used, left = _number(row, "used_in_period_credits"), _number(row, "credits_left")
    if used is None or left is None or used + left <= 0:
        return None
    return used / (used + left)


def elapsed(row: Row, now: datetime) -> float | None:
    """The share of the subscription period that has passed, from 0 to 1."""
    start, end = words.utc(row.get("period_start")), words.utc(row.get("renews_at"))
    if start is None or end is None or end <= start:
        return None
    return min(1.0, max(0.0, (now - start) / (end - start)))


def pacing(row: Row, now: datetime) -> float | None:
    """Utilisation over the share of the period elapsed: 1 uses up the credits just at the renewal."""
    used, passed = utilisation(row), elapsed(row, now)
    return used / passed if used is not None and passed else None


def priority(row: Row, found: list[Flag]) -> float:
    """Whom to call first: the credits at stake times the reasons to call; 0 without a flag.

    At stake is what the tenant burned in 28 days, the last or the ones before, whichever is more, so that one that has
    fallen silent still counts with what it used to burn. Each at-risk flag is a reason, and so is running out before
    the renewal, or soon where none is known; other upsell flags can wait and count a quarter.
    """
    stake = max(0.0, _number(row, "burn_28d_credits") or 0.0, _number(row, "burn_prev_28d_credits") or 0.0)
    urgent = [one.kind == "at_risk" or one.rule in RUNNING_OUT for one in found]
    # Some credit at stake even where nothing was ever burned: a flagged tenant stands before one without a flag.
    return (stake + 1.0) * sum(1.0 if one else _CAN_WAIT for one in urgent)


def _burn_down(row: Row) -> str | None:
    last, before = _number(row, "burn_7d_credits"), _number(row, "burn_prev_7d_credits")
    base = _number(row, "generations_prev_7d")
    if last is None or before is None or base is None or before <= 0 or base < BURN_BASE_GENERATIONS:
        return None
    fell = (before - last) / before
    if fell <= BURN_FELL_SHARE:
        return None
    # A fall of 30.2 % must not read as one of 30 %, which is not flagged.
    shown = f"{fell * 100:.0f} %" if fell >= 0.31 else words.percent(fell)
    return f"Burn fell {shown} week on week ({_credits(row, 'burn_prev_7d')} to {_credits(row, 'burn_7d')} credits)."


def _silent(row: Row, now: datetime, zone: str) -> str | None:
    last, seen = words.utc(row.get("last_success_at")), words.utc(row.get("last_seen_at"))
    if last is not None:
        if now - last <= timedelta(days=SILENT_DAYS):
            return None
        since = words.day(local_date(last, zone))
        return f"No generation has succeeded for {int((now - last) / timedelta(days=1))} days, since {since}."
    if seen is None or (_number(row, "history_days") or 0) <= SILENT_DAYS:
        return None
    return f"No generation has ever succeeded; the last attempt was {words.ago(seen, now)}."


def _users_halved(row: Row) -> str | None:
    last, before = _number(row, "active_users_28d"), _number(row, "active_users_prev_28d")
    if last is None or before is None or before < USERS_BASE or last > before / 2:
        return None
    return f"Active users fell from {before:,.0f} to {last:,.0f} in 28 days."


def _failing(row: Row) -> str | None:
    counts = [_number(row, name) for name in ("succeeded_7d", "failed_7d", "succeeded_prev_7d", "failed_prev_7d")]
    if any(one is None for one in counts):
        return None
    good, bad, good_before, bad_before = (int(one or 0) for one in counts)
    ended, ended_before = good + bad, good_before + bad_before
    if min(ended, ended_before) < SUCCESS_BASE_ENDED or not good / ended < SUCCESS_LEAST:
        return None
    if good * ended_before >= good_before * ended:
        return None
    before, after = words.percent(good_before / ended_before), words.percent(good / ended)
    return (
        f"Success rate fell from {before} ({good_before:,} of {ended_before:,}) to {after} ({good:,} of {ended:,}) "
        "in a week."
    )


def _under_paced(row: Row, now: datetime, zone: str) -> str | None:
    pace, used, passed = pacing(row, now), utilisation(row), elapsed(row, now)
    start, renewal = words.utc(row.get("period_start")), _renewal(row, now)
    if pace is None or used is None or passed is None or start is None or renewal is None or pace >= PACING_LEAST:
        return None
    if now - start < timedelta(days=PACING_FROM_DAYS) or renewal - now > timedelta(days=PACING_WITHIN_DAYS):
        return None
    when = words.days_left(local_date(renewal, zone), local_date(now, zone))
    return (
        f"Used {words.percent(max(used, 0.0))} of the credits in {words.percent(passed)} of the period; renews {when}."
    )


def _runs_out_before_renewal(row: Row, runway: Runway | None, today: date, now: datetime, zone: str) -> str | None:
    renewal = _renewal(row, now)
    if runway is None or runway.p50_days is None or renewal is None:
        return None
    renews_on = local_date(renewal, zone)
    early = (renews_on - today).days - runway.p50_days
    if early <= 0:
        return None
    if runway.state == "empty":
        # Without recent use nobody misses the credits.
        in_use = (_number(row, "generations_28d") or 0) > 0
        return f"Out of credits; the renewal is {words.days_left(renews_on, today)}." if in_use else None
    out_on = today + timedelta(days=runway.p50_days)
    return f"Runs out around {words.day(out_on)}, {words.counted(early, 'day')} before the renewal."


def _runs_out_soon(row: Row, runway: Runway | None, today: date) -> str | None:
    """Where no renewal is known that the credits could last to."""
    in_use = (_number(row, "generations_28d") or 0) > 0
    days = runway.p50_days if runway is not None else None
    is_known = row.get("renewing") and words.utc(row.get("renews_at")) is not None
    if is_known or not in_use or days is None or days > RUNNING_OUT_DAYS:
        return None
    if runway is not None and runway.state == "empty":
        return "Out of credits; no renewal is known."
    out_on = today + timedelta(days=days)
    return f"Runs out around {words.day(out_on)}, {words.days_left(out_on, today)}; no renewal is known."


def _limit_hits(row: Row) -> str | None:
    hits = _number(row, "limit_hit_days_28d")
    return f"Reached a daily limit on {hits:.0f} of 28 days." if hits is not None and hits >= LIMIT_HIT_DAYS else None


def _high_utilisation(row: Row, now: datetime) -> str | None:
    used, passed = utilisation(row), elapsed(row, now)
    if used is None or used <= UTILISATION_MOST:
        return None
    of_period = f" in {words.percent(passed)} of it" if passed is not None else ""
    return f"Used {words.percent(used)} of the period's credits{of_period}."


def _renewal(row: Row, now: datetime) -> datetime | None:
    """When the subscription renews; None where it does not, or should have already."""
    renewal = words.utc(row.get("renews_at"))
    return renewal if row.get("renewing") and renewal is not None and renewal >= now.astimezone(UTC) else None


def _number(row: Row, name: str) -> float | None:
    value = words.known(row.get(name))
    return None if value is None else float(value)


def _credits(row: Row, name: str) -> str:
    credits = Decimal(str(row[f"{name}_credits"]))
    return words.amount(int(credits) if credits == credits.to_integral_value() else credits)
