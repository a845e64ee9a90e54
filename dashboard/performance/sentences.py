"""What the figures of questions mean, in words with their numbers. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dashboard import words
from queries.performance.log_reading import REGRESSION_MISSES
from queries.settings import Settings

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def hit_share(totals: Mapping[str, int]) -> float | None:
    """The share of answers that came from a cache, fresh or older; None when nothing was answered."""
    answered = totals["calls"] - totals["errors"]
    return (totals["hits"] + totals["stale"]) / answered if answered else None


def regression(row: Mapping[str, Any], release: str) -> str:
    """ "usage.totals: p95 rose from 120 ms to 240 ms (2.0 times baseline 1.2), over 34 runs against 51 then."."""
    return (
        f"{row['query']}: p95 rose from {words.small_ms(row['baseline_p95_ms'])} to {words.small_ms(row['p95_ms'])}"
        f" ({row['regression']:.1f} times the baseline {release}), over {words.counted(row['misses'], 'run')} now"
        f" against {words.exact(row['baseline_calls'])} then."
    )


def regression_cell(row: Mapping[str, Any]) -> str:
    """The same in a cell; or why there is nothing to say."""
    now, before = row["p95_ms"], row["baseline_p95_ms"]
    if before is None:
        return "new" if now is not None else ""
    if now is None:
        return "not run"
    if row["regression"] is not None:
        return f"▲ {row['regression']:.1f} times slower"
    if min(row["misses"], row["baseline_calls"]) < REGRESSION_MISSES:
        return f"under {REGRESSION_MISSES} runs"
    change = words.change(now, before)
    return change.text or "no change"


def sums(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The window's totals from its parts."""
    names = ("calls", "hits", "stale", "misses", "shared", "errors", "slow", "total_ms")
    return {name: sum(one[name] for one in rows) for name in names}


def slowest(row: Mapping[str, Any]) -> str:
    """ "Slowest: 812 ms in the database."; nothing when it never ran."""
    if row["slowest_ms"] is None:
        return "It was not run in the database in this time."
    return f"Its slowest run took {words.small_ms(row['slowest_ms'])} in the database."


def alerting(settings: Settings) -> str:
    """Whether anybody is told of what is slow, and how that is changed."""
    if settings.alert_webhook_url is None:
        return "Alerts are off; set ALERT_WEBHOOK_URL to have slow queries and regressions posted to a webhook."
    return (
        "Alerts are on: slow queries and regressions are posted to ALERT_WEBHOOK_URL, the same one at most once in"
        f" {words.duration(settings.alert_every_s * 1000)}, {settings.alert_most_per_hour} an hour in all."
    )


def hour(weekday: int, start: int) -> str:
    """Mon 09:00 to 10:00."""
    return f"{WEEKDAYS[weekday - 1]} {start:02d}:00 to {(start + 1) % 24:02d}:00"
