"""How good the runway's forecast is, and what it costs.

    python -m benchmarks.forecast

Backtests on the demo's history (net burn by tenant and day) and, where USAGE_DASHBOARD_TRACE names it or it lies beside
the project, on a real trace (images by hour, a season of 24). The demo is made in memory; no database is needed.
"""

from __future__ import annotations

import csv
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.measuring import measured
from benchmarks.report import Bound, concluded, console, print_table, shown
from dashboard.insights.backtest import Backtest, backtest, pooled
from dashboard.insights.runway import HISTORY_DAYS, HORIZON_DAYS, FloatArray, runways
from demo.history import generate
from queries.settings import ROOT

END = datetime(2026, 11, 23, tzinfo=UTC)
SEEDS = (7, 8, 9)
TENANTS = (64, 1_000, 10_000)
COVERAGE_LEAST, COVERAGE_MOST = 0.72, 0.90
TENANT_MOST_MS = 1.0
HOURS = 24
# Two weeks: six days, the longest look ahead, and as much again.
HOURLY_HORIZON = 14 * HOURS
BUSIEST_GROUPS = 64
TRACE_NAME = "gentd26_requests.csv"
COLUMNS = ("cases", "covered", "95 % interval", "early", "late", "unanswered", "pinball", "flat mean's")


def main() -> int:
    demo = {f"demo, seed {seed}": of_all(demo_series(seed)) for seed in SEEDS}
    print_table("Demo, days: 64 tenants, 180 days", ("", *COLUMNS), [(name, *line(one)) for name, one in demo.items()])
    bounds = [bound for name, one in demo.items() for bound in forecast_bounds(name, one)]
    if (path := trace_path()) is None:
        console.print(f"The real trace is not here; name {TRACE_NAME} in USAGE_DASHBOARD_TRACE to measure on it.")
    else:
        total, groups = trace_series(path)
        found = {"all groups as one": of_hours([total]), f"the {len(groups)} busiest": of_hours(groups, every=17)}
        print_table("Real trace, hours", ("", *COLUMNS), [(name, *line(one)) for name, one in found.items()])
        bounds += forecast_bounds("real trace", found["all groups as one"])
    bounds += costs()
    return concluded(bounds)


def demo_series(seed: int) -> list[FloatArray]:
    """Net burn by complete day of each tenant of a generated history, from its first day with burn on."""
    history = generate(seed, END)
    rows = history.tables["CreditTransaction"].select(["organizationId", "type", "amount", "createdAt"]).to_pandas()
    rows = rows[rows["type"].isin(["CHARGE", "REFUND"])]
    day = (rows["createdAt"] - pd.Timestamp(history.start).tz_localize(None)) // pd.Timedelta(days=1)
    burned = rows.assign(day=day, burn=-rows["amount"]).pivot_table(
        index="organizationId", columns="day", values="burn", aggfunc="sum", fill_value=0
    )
    complete = burned.reindex(columns=range((history.end - history.start).days), fill_value=0)
    return [_since_first(one) for one in complete.to_numpy(np.float64)]


def trace_path() -> Path | None:
    path = Path(os.environ.get("USAGE_DASHBOARD_TRACE", ROOT.parent / "shared" / "data" / TRACE_NAME))
    return path if path.is_file() else None


def trace_series(path: Path) -> tuple[FloatArray, list[FloatArray]]:
    """Images asked for by complete hour: of all groups, and of each of the busiest."""
    with path.open(newline="") as file:
        rows = {tuple(row.items()): row for row in csv.DictReader(file)}.values()
    moments = [datetime.fromisoformat(row["gmt_create"]).replace(tzinfo=UTC) for row in rows]
    first, last = (moment.replace(minute=0, second=0) for moment in (min(moments), max(moments)))
    hours = int((last - first).total_seconds() // 3600)
    images: dict[str, FloatArray] = {}
    for row, moment in zip(rows, moments, strict=True):
        hour = int((moment - first).total_seconds() // 3600)
        # The last hour was cut off.
        if hour < hours:
            series = images.setdefault(row["groupId"], np.zeros(hours))
            series[hour] += float(row["num_images_per_prompt"] or 0)
    total = np.sum(list(images.values()), axis=0)
    busiest = Counter({group: float(series.sum()) for group, series in images.items()}).most_common(BUSIEST_GROUPS)
    return total, [_since_first(images[group]) for group, _ in busiest]


def of_all(series: Sequence[FloatArray]) -> Backtest:
    return pooled([backtest(one) for one in series])


def of_hours(series: Sequence[FloatArray], *, every: int = 5) -> Backtest:
    return pooled([backtest(one, season=HOURS, horizon=HOURLY_HORIZON, every=every) for one in series])


def line(found: Backtest) -> Iterator[str]:
    assert found.coverage is not None
    assert found.low is not None
    assert found.high is not None
    assert found.pinball_days is not None
    assert found.flat_pinball_days is not None
    yield f"{found.cases:,}"
    yield f"{found.coverage:.1%}"
    yield f"{found.low:.1%} to {found.high:.1%}"
    for count in (found.early_misses, found.late_misses, found.unanswered):
        yield f"{count:,}"
    yield shown(found.pinball_days)
    yield shown(found.flat_pinball_days)


def forecast_bounds(name: str, found: Backtest) -> Iterator[Bound]:
    assert found.coverage is not None
    assert found.pinball_days is not None
    assert found.flat_pinball_days is not None
    yield Bound(f"{name}: covered by P10 to P90", found.coverage * 100, COVERAGE_MOST * 100, "%")
    yield Bound(f"{name}: not covered", 100 - found.coverage * 100, 100 - COVERAGE_LEAST * 100, "%")
    yield Bound(f"{name}: pinball loss over the flat mean's", found.pinball_days / found.flat_pinball_days, 1, "times")


def costs() -> list[Bound]:
    """What `runways` takes for so many tenants with 8 weeks of history."""
    rng = np.random.default_rng(1)
    bounds, lines = [], []
    for tenants in TENANTS:
        burn = rng.gamma(2, 50, (tenants, HISTORY_DAYS))
        balances, grants = rng.uniform(100, 9_000, tenants), np.zeros((tenants, HORIZON_DAYS))
        lived = np.full(tenants, HISTORY_DAYS)
        times = measured(lambda: runways(burn, lived, balances, grants), within_s=10, most=20)  # noqa: B023 - runs now
        per_tenant_ms = times.median_ms / tenants
        lines.append((f"{tenants:,}", shown(times.median_ms), shown(per_tenant_ms)))
        bounds.append(Bound(f"runways of {tenants:,} tenants, each", per_tenant_ms, TENANT_MOST_MS))
    print_table("What runways take", ("tenants", "ms", "ms each"), lines)
    return bounds


def _since_first(series: FloatArray) -> FloatArray:
    burned = np.flatnonzero(series)
    return series[burned[0] :] if len(burned) else series[:0]


if __name__ == "__main__":
    sys.exit(main())
