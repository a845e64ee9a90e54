"""All listed tenants together. Every sum is exact: integers and decimals added in Python."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dashboard.insights.retention import Retention, net_usage_retention
from dashboard.outlook import Outlook


@dataclass(frozen=True, slots=True)
class Sums:
    """Of 28 complete days; `_before` of the 28 before them. `credits_left` is None where no balance is known."""

    tenants: int
    active: int
    active_before: int
    never_seen: int
    generations: int
    generations_before: int
    succeeded: int
    succeeded_before: int
    failed: int
    failed_before: int
    burned: Any
    burned_before: Any
    credits_left: Any
    at_risk: int
    upsell: int
    running_out: int
    retention: Retention


def sums_of(outlooks: Sequence[Outlook]) -> Sums:
    """The sums over these tenants."""

    def total(name: str) -> Any:
        return sum(one.row[name] or 0 for one in outlooks)

    balances = [one.row["credits_left"] for one in outlooks if one.row["credits_left"] is not None]
    base = [one for one in outlooks if one.row["succeeded_prev_28d"] > 0]
    return Sums(
        tenants=len(outlooks),
        active=sum(one.row["succeeded_28d"] > 0 for one in outlooks),
        active_before=len(base),
        never_seen=sum(one.row["last_seen_at"] is None for one in outlooks),
        generations=total("generations_28d"),
        generations_before=total("generations_prev_28d"),
        succeeded=total("succeeded_28d"),
        succeeded_before=total("succeeded_prev_28d"),
        failed=total("failed_28d"),
        failed_before=total("failed_prev_28d"),
        burned=total("burn_28d_credits"),
        burned_before=total("burn_prev_28d_credits"),
        credits_left=sum(balances) if balances else None,
        at_risk=sum(one.has("at_risk") for one in outlooks),
        upsell=sum(one.has("upsell") for one in outlooks),
        running_out=sum(one.is_running_out() for one in outlooks),
        retention=net_usage_retention(
            sum(one.row["burn_28d_credits"] for one in base), sum(one.row["burn_prev_28d_credits"] for one in base)
        ),
    )
