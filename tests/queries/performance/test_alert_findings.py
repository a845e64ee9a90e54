"""What is worth an alert: the same from the log, from memory, and in plain Python over the same executions."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from dashboard.services import Services
from queries.performance import baselines, log_reading
from queries.performance.alert_findings import Regression, Slow, found, slow_since
from queries.performance.log_reading import REGRESSION_MISSES
from queries.performance.monitor import Execution, utc_now
from queries.performance.recorded import Source, Window, read
from queries.query import Timings
from tests.queries.asking import MakeServices
from tests.queries.performance.executions import (
    NOON,
    WINDOW,
    database_ms,
    executions,
    monitor_of,
    quantile,
    within,
    write_log,
)
from tests.queries.performance.test_monitor import execution

FEW = settings(max_examples=15, phases=[Phase.generate], suppress_health_check=[HealthCheck.function_scoped_fixture])
TOLD = st.dictionaries(
    st.sampled_from(["usage.totals", "usage.daily", "nobody's"]),
    st.integers(-2, 26).map(lambda hours: NOON + timedelta(hours=hours)),
)


@pytest.fixture
def held(make_services: MakeServices) -> Services:
    return make_services(query_log_days=3650)  # the log's sweep would take what these tests write of June


def expected(recorded: Sequence[Execution], told: dict[str, datetime]) -> dict[str, dict[str, Any]]:
    rows = {}
    for query in {one.query for one in recorded}:
        since = told.get(query, WINDOW.start)
        ran = [
            one
            for one in within(recorded, WINDOW)
            if one.query == query and one.at >= since and (one.slow or one.outcome == "miss")
        ]
        slow, times = [one for one in ran if one.slow], [database_ms(one) for one in ran if one.outcome == "miss"]
        if slow:
            rows[query] = {
                "pages": sorted({one.page for one in slow}),
                "since": since,
                "newest_at": max(one.at for one in slow),
                "runs": len(ran),
                "slow": len(slow),
                "stopped": sum(one.outcome != "miss" for one in slow),
                "p95_ms": quantile(times, 0.95),
                "worst_ms": max(times, default=None),
            }
    return rows


@FEW
@given(recorded=executions, told=TOLD)
def test_slow_questions_since_they_were_told(
    held: Services, recorded: list[Execution], told: dict[str, datetime]
) -> None:
    write_log(held, recorded)
    wanted = expected(recorded, told)
    sources: tuple[Source, ...] = ("log", "memory")
    for source in sources:
        reading = slow_since(replace(WINDOW, source=source), monitor_of(recorded), told)
        rows = read(held.database, reading).frame.astype(object).to_dict("records")
        assert {row["query"] for row in rows} == set(wanted)
        for row in rows:
            of = wanted[row.pop("query")]
            row["pages"] = sorted(row["pages"])
            for name in ("p95_ms", "worst_ms"):
                is_missing = row[name] != row[name] or row[name] is None or str(row[name]) == "<NA>"
                row[name] = None if is_missing else pytest.approx(row[name])
            assert of == row


def runs(count: int, ms: float, end: datetime, **changes: Any) -> list[Execution]:
    """So many executions in the minutes before, one every ten seconds."""
    one = replace(execution(), **{"run_id": "", "timings": Timings(database_ms=ms), **changes})
    return [replace(one, at=end - timedelta(seconds=10 * place + 1)) for place in range(count)]


def save_baseline(held: Services, release: str, ms: float, *, of: int = REGRESSION_MISSES) -> datetime:
    """Made of runs that took so long; the moment that it was saved at."""
    now = utc_now()
    write_log(held, runs(of, ms, now))
    window = Window(now - timedelta(days=1), now)
    baselines.save(held.database, release, log_reading.by_query(held.database, window, held.monitor), saved_by="test")
    return utc_now()


def ask(held: Services, at: datetime, told: dict[str, datetime] | None = None, *, source: Source = "log") -> list[Any]:
    return found(held.database, held.monitor, told or {}, at, source=source)


def test_a_regression_is_found_by_what_ran_after_the_newest_baseline_was_saved(held: Services) -> None:
    assert ask(held, utc_now()) == []
    save_baseline(held, "1.1", 1000)
    saved = save_baseline(held, "1.2", 100)
    later = saved + timedelta(hours=1)
    before = runs(REGRESSION_MISSES, 400, saved)
    write_log(held, before)
    assert ask(held, later) == [], "they ran before"
    write_log(held, [*before, *runs(REGRESSION_MISSES - 1, 400, later)])
    assert ask(held, later) == [], "too few"
    after = runs(REGRESSION_MISSES, 400, later, page="burn")
    write_log(held, [*before, *after])
    (one,) = ask(held, later)
    assert isinstance(one, Regression)
    assert (one.subject, one.pages, one.misses) == ("regression usage.totals 1.2", ("burn",), 20)
    assert (one.p95_ms, one.baseline_p95_ms, one.regression) == pytest.approx((400, 100, 4))
    assert one.newest_at == after[0].at
    assert ask(held, later, {one.subject: after[-1].at + timedelta(seconds=1)}) == [], "19 runs since it was told"
    assert len(ask(held, later, {one.subject: after[-1].at})) == 1
    assert len(ask(held, later, {"regression usage.totals 1.1": later})) == 1, "of another baseline"
    write_log(held, runs(REGRESSION_MISSES, 149, later))
    assert ask(held, later) == [], "within 1.5 times"


def test_what_is_older_than_an_hour_is_not_told_any_more(held: Services) -> None:
    now = utc_now()
    old = runs(3, 900, now - timedelta(hours=1), slow=True)
    write_log(held, old)
    assert ask(held, now) == []
    write_log(held, [*old, *runs(2, 300, now, slow=True), *runs(5, 10, now)])
    (one,) = ask(held, now)
    assert isinstance(one, Slow)
    assert (one.subject, one.slow, one.runs, one.worst_ms) == ("slow usage.totals", 2, 7, 300)


def test_memory_has_no_baseline_and_asks_for_nothing_when_nothing_was_slow(make_services: MakeServices) -> None:
    held = make_services(direct_url=None)
    now = utc_now()
    assert ask(held, now, source="memory") == []
    held.monitor.record(runs(1, 900, now, slow=True)[0])
    assert [one.subject for one in ask(held, now, source="memory")] == ["slow usage.totals"]
