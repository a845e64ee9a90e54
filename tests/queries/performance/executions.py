"""Recorded executions for tests: made at random, kept in memory or written to the log as the program does."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from hypothesis import strategies as st

from dashboard.services import Services
from queries.performance.monitor import Execution, Monitor
from queries.performance.query_log import QUERY_LOG, _row
from queries.performance.recorded import Window
from queries.query import Timings

NOON = datetime(2026, 6, 15, 12, 0, tzinfo=UTC)
WINDOW = Window(NOON, NOON + timedelta(hours=24))

_ms = st.floats(0, 5_000, allow_nan=False).map(lambda ms: round(ms, 3))
_timings = st.builds(Timings, wait_ms=_ms, database_ms=_ms, fetch_ms=_ms, frame_ms=_ms, cache_ms=_ms)


@st.composite
def execution(draw: Any) -> Execution:
    outcome = draw(st.sampled_from(["hit", "stale", "miss", "miss", "miss", "shared", "error"]))
    return Execution(
        at=NOON + timedelta(milliseconds=draw(st.integers(-3_600_000, 25 * 3_600_000))),
        query=draw(st.sampled_from(["usage.totals", "usage.daily", "tenants.signals"])),
        fingerprint=None if outcome == "error" else draw(st.sampled_from(["f1", "f2", "f3"])),
        parameters=draw(st.sampled_from([{}, {"a": 1, "b": ["x", None]}, {"like": "(hidden)"}])),
        parameters_hash=draw(st.sampled_from(["h1", "h2", "h3", "h4", "h5", "h6"])),
        scope_digest="all",
        page=draw(st.sampled_from(["tenants", "burn"])),
        run_id=draw(st.sampled_from(["", "r1", "r2"])),
        role=draw(st.sampled_from(["admin", "engineer"])),
        outcome=outcome,
        timings=draw(_timings),
        rows=None if outcome == "error" else draw(st.integers(0, 9_999)),
        slow=outcome in ("miss", "error") and draw(st.booleans()),
        error="StatementTimeoutError: stopped" if outcome == "error" else None,
        asked_by=draw(st.sampled_from(["", "pages/burn.py:7", "pages/Tenants.py:24", "pages/tenants.py:3"])),
        plan_hash=draw(st.sampled_from([None, "p1"])),
    )


executions = st.lists(execution(), max_size=40)


def monitor_of(recorded: Sequence[Execution]) -> Monitor:
    """A monitor that has recorded these."""
    monitor = Monitor(slow_query_ms=250)
    monitor._ring.extend(recorded)
    return monitor


def write_log(held: Services, recorded: Sequence[Execution]) -> None:
    """The log holds these and no others."""
    assert held.database.owner is not None
    with held.database.owner.begin() as connection:
        connection.execute(sa.delete(QUERY_LOG))
        if recorded:
            connection.execute(sa.insert(QUERY_LOG), [_row(one) for one in recorded])


def database_ms(one: Execution) -> float:
    return one.timings.database_ms + one.timings.fetch_ms


def spent_ms(one: Execution) -> float:
    times = one.timings
    return times.wait_ms + times.database_ms + times.fetch_ms + times.frame_ms + times.cache_ms


def quantile(values: Sequence[float], share: float) -> float | None:
    """PostgreSQL's percentile_cont."""
    if not values:
        return None
    ordered, place = sorted(values), (len(values) - 1) * share
    low = ordered[int(place)]
    high = ordered[min(int(place) + 1, len(ordered) - 1)]
    return low + (high - low) * (place - int(place))


def within(recorded: Sequence[Execution], window: Window) -> list[Execution]:
    return [
        one
        for one in recorded
        if window.start <= one.at < window.end and window.page in (None, one.page) and window.query in (None, one.query)
    ]
