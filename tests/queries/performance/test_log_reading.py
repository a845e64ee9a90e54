"""The figures of the log are the same from the log, from memory, and in plain Python over the same executions."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from dashboard.services import Services
from queries.performance import baselines, log_reading, run_reading
from queries.performance.log_reading import SORTS, TREND_POINTS
from queries.performance.monitor import Execution
from queries.performance.recorded import Reading, Window, read
from queries.performance.repeats import repeats
from queries.query import Timings
from tests.queries.asking import MakeServices
from tests.queries.performance.executions import (
    NOON,
    WINDOW,
    database_ms,
    executions,
    monitor_of,
    quantile,
    spent_ms,
    within,
    write_log,
)
from tests.queries.performance.test_monitor import execution

FEW = settings(max_examples=15, phases=[Phase.generate], suppress_health_check=[HealthCheck.function_scoped_fixture])
windows = st.builds(
    lambda first, hours, page, query: Window(
        NOON + timedelta(hours=first), NOON + timedelta(hours=first + hours), page, query
    ),
    st.integers(-2, 20),
    st.integers(1, 30),
    st.sampled_from([None, None, "burn"]),
    st.sampled_from([None, None, "usage.daily"]),
)


@pytest.fixture
def held(make_services: MakeServices) -> Services:
    """Nothing of the tests' own questions goes to the log."""
    # What these tests record is as old as their dates.
    return make_services(query_log_days=3650)


def both(held: Services, recorded: Sequence[Execution], window: Window, ask: Any) -> list[dict[str, Any]]:
    """The rows of a reading over the log, after seeing that memory gives the same."""
    write_log(held, recorded)
    found = []
    for source in ("log", "memory"):
        reading: Reading = ask(replace(window, source=source), monitor_of(recorded))
        found.append(rounded(read(held.database, reading).frame.to_dict("records")))
    assert found[0] == found[1]
    return found[0]


def rounded(value: Any) -> Any:
    """Without what differs by the order in which floats were added; what is missing is None."""
    if isinstance(value, float):
        return float(f"{value:.9g}") if value == value else None
    if isinstance(value, dict):
        return {name: rounded(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(one) for one in value]
    if hasattr(value, "tolist"):
        return rounded(value.tolist())
    return None if value is pd.NA or value != value else value


@FEW
@given(recorded=executions, window=windows)
def test_figures_by_question(held: Services, recorded: list[Execution], window: Window) -> None:
    rows = both(held, recorded, window, log_reading.figures_by_query)
    kept = within(recorded, window)
    assert {one["query"] for one in rows} == {one.query for one in kept}
    for row in rows:
        of = [one for one in kept if one.query == row["query"]]
        outcomes = Counter(one.outcome for one in of)
        ran = [one for one in of if one.outcome == "miss"]
        assert row["calls"] == len(of)
        counted = {"hits": "hit", "stale": "stale", "misses": "miss", "shared": "shared", "errors": "error"}
        assert {name: row[name] for name in counted} == {name: outcomes[one] for name, one in counted.items()}
        for share in (0.5, 0.95, 0.99):
            assert row[f"p{share * 100:.0f}_ms"] == rounded(quantile([database_ms(one) for one in ran], share))
        assert row["total_ms"] == pytest.approx(sum(database_ms(one) for one in ran))
        assert row["rows"] == sum(one.rows or 0 for one in ran)
        assert row["slow"] == sum(one.slow for one in of)
        assert sorted(row["fingerprints"] or []) == sorted({one.fingerprint for one in of if one.fingerprint})
        if ran:
            slowest = max(ran, key=lambda one: (database_ms(one), one.at))
            assert row["slowest_ms"] == rounded(database_ms(slowest))
            assert row["slowest_hash"] in {
                one.parameters_hash for one in ran if database_ms(one) == database_ms(slowest)
            }
        step = (window.end - window.start) / TREND_POINTS
        for place, shown in enumerate(row["trend_ms"]):
            there = [one for one in ran if int((one.at - window.start) / step) == place]
            assert shown == rounded(quantile([database_ms(one) for one in there], 0.95) or 0.0)


@FEW
@given(recorded=executions, sort=st.sampled_from(SORTS), limit=st.integers(1, 3), offset=st.integers(0, 3))
def test_a_page_of_the_list_is_a_part_of_the_whole(
    held: Services, recorded: list[Execution], sort: log_reading.Sort, limit: int, offset: int
) -> None:
    def ask(**how: Any) -> list[dict[str, Any]]:
        return both(
            held,
            recorded,
            WINDOW,
            lambda window, monitor: log_reading.figures_by_query(window, monitor, sort=sort, **how),
        )

    whole = ask()
    assert [one["query"] for one in ask(limit=limit, offset=offset)] == [
        one["query"] for one in whole[offset : offset + limit]
    ]
    assert all(one["total_rows"] == len(whole) for one in whole)
    key = {"total": "total_ms", "p95": "p95_ms", "calls": "calls", "rows": "rows", "regressions": "total_ms"}[sort]
    values = [-1 if one[key] is None else one[key] for one in whole]
    assert values == sorted(values, reverse=True)


@FEW
@given(recorded=executions, window=windows)
def test_figures_over_time_sum_to_those_of_the_window(
    held: Services, recorded: list[Execution], window: Window
) -> None:
    rows = both(held, recorded, window, log_reading.figures_over_time)
    kept = within(recorded, window)
    assert [one["place"] for one in rows] == list(range(1, TREND_POINTS + 1))
    assert sum(one["calls"] for one in rows) == len(kept)
    outcomes = Counter(one.outcome for one in kept)
    for name, outcome in (("hits", "hit"), ("stale", "stale"), ("misses", "miss"), ("errors", "error")):
        assert sum(one[name] for one in rows) == outcomes[outcome]
    assert sum(one["slow"] for one in rows) == sum(one.slow for one in kept)
    assert sum(one["total_ms"] for one in rows) == pytest.approx(
        sum(database_ms(one) for one in kept if one.outcome == "miss")
    )


@FEW
@given(recorded=executions, zone=st.sampled_from(["UTC", "Asia/Kathmandu", "America/New_York"]))
def test_the_load_by_hour_of_the_week(held: Services, recorded: list[Execution], zone: str) -> None:
    rows = both(held, recorded, WINDOW, partial(log_reading.load_by_hour, zone=zone))
    local = Counter(
        (one.at.astimezone(ZoneInfo(zone)).isoweekday(), one.at.astimezone(ZoneInfo(zone)).hour)
        for one in within(recorded, WINDOW)
    )
    assert {(one["weekday"], one["hour"]): one["calls"] for one in rows} == local


@FEW
@given(recorded=executions, window=windows, limit=st.integers(1, 5), offset=st.integers(0, 5))
def test_the_slow_list(held: Services, recorded: list[Execution], window: Window, limit: int, offset: int) -> None:
    rows = both(
        held,
        recorded,
        window,
        partial(log_reading.slow_list, limit=limit, offset=offset),
    )
    kept = sorted((one for one in within(recorded, window) if one.slow), key=lambda one: one.at, reverse=True)
    assert [one["at"].to_pydatetime() for one in rows] == [one.at for one in kept[offset : offset + limit]]
    assert all(one["total_rows"] == len(kept) for one in rows)


@FEW
@given(recorded=executions)
def test_page_runs_and_what_each_ran(held: Services, recorded: list[Execution]) -> None:
    rows = both(held, recorded, WINDOW, run_reading.runs)
    kept = [one for one in within(recorded, WINDOW) if one.run_id]
    assert {one["run_id"]: one["questions"] for one in rows} == Counter(one.run_id for one in kept)
    began = [one["started_at"] for one in rows]
    assert began == sorted(began, reverse=True)
    for row in rows:
        of = [one for one in recorded if one.run_id == row["run_id"]]
        there = [one for one in kept if one.run_id == row["run_id"]]
        starts = [one.at - timedelta(milliseconds=spent_ms(one)) for one in there]
        assert row["total_ms"] == pytest.approx(
            (max(one.at for one in there) - min(starts)).total_seconds() * 1000, rel=1e-8, abs=0.01
        )
        ran = both(
            held,
            recorded,
            WINDOW,
            lambda window, monitor, run=row["run_id"]: run_reading.run_executions(window, monitor, run),
        )
        assert len(ran) == len(of)
        assert [one["started_at"] for one in ran] == sorted(one["started_at"] for one in ran)


@FEW
@given(recorded=executions)
def test_repeats_in_sql_are_those_of_the_pure_rules(held: Services, recorded: list[Execution]) -> None:
    # More of one statement, so that both rules have something to find.
    recorded = [replace(one, fingerprint=one.fingerprint and "f1", query="usage.daily") for one in recorded]
    rows = both(held, recorded, WINDOW, run_reading.repeated)
    kept = within(recorded, WINDOW)
    expected: dict[tuple[str, ...], list[int]] = {}
    for run in {one.run_id for one in kept if one.run_id}:
        for one in repeats(each for each in kept if each.run_id == run):
            place = (one.kind, one.query, one.fingerprint, one.page, one.asked_by)
            expected.setdefault(place, []).append(one.executions)
    found = {tuple(one[name] for name in ("kind", "query", "fingerprint", "page", "asked_by")): one for one in rows}
    assert {place: (one["runs"], one["executions"]) for place, one in found.items()} == {
        place: (len(times), max(times)) for place, times in expected.items()
    }


@FEW
@given(recorded=executions)
def test_times_of_statements(held: Services, recorded: list[Execution]) -> None:
    write_log(held, recorded)
    found = log_reading.statement_times(held.database, monitor_of([]), ["f1", "f3", "nope"], WINDOW.start, WINDOW.end)
    expected = {}
    for name in ("f1", "f3"):
        ms = [database_ms(one) for one in within(recorded, WINDOW) if one.fingerprint == name and one.outcome == "miss"]
        if ms:
            expected[name] = (len(ms), rounded(quantile(ms, 0.5)), rounded(quantile(ms, 0.95)))
    assert {name: tuple(rounded(one) for one in times) for name, times in found.items()} == expected


def misses(count: int, ms: float, query: str = "usage.totals") -> list[Execution]:
    one = replace(execution(), query=query, timings=Timings(database_ms=ms))
    return [replace(one, at=NOON + timedelta(minutes=1 + place)) for place in range(count)]


@pytest.mark.parametrize(
    ("before", "now", "ratio"),
    [
        (misses(20, 10.0), misses(20, 16.0), 1.6),
        (misses(20, 10.0), misses(20, 15.0), None),
        (misses(20, 10.0), misses(19, 99.0), None),
        (misses(19, 10.0), misses(20, 99.0), None),
        (misses(40, 10.0), misses(40, 4.0), None),
        ([], misses(40, 4.0), None),
    ],
    ids=["slower", "just not", "too few now", "too few then", "faster", "new"],
)
def test_a_regression_needs_half_as_much_again_and_enough_calls(
    held: Services, before: list[Execution], now: list[Execution], ratio: float | None
) -> None:
    write_log(held, [*before, *misses(30, 1.0, query="usage.daily")])
    assert baselines.save(
        held.database, " 1.2 \n", log_reading.by_query(held.database, WINDOW, held.monitor), saved_by="Emil"
    ) == (2 if before else 1)
    write_log(held, now)
    for source in ("log", "memory"):
        window = replace(WINDOW, source=source)
        frame = log_reading.by_query(held.database, window, monitor_of(now), release="1.2", sort="regressions")
        assert rounded(frame["regression"].tolist()) == [ratio]
    saved = read(held.database, baselines.releases()).frame.to_dict("records")
    assert [(one["release"], one["queries"], one["saved_by"]) for one in saved] == [("1.2", 2 if before else 1, "Emil")]


def test_saving_again_takes_the_place_and_forgetting_removes(held: Services) -> None:
    for count in (20, 30):
        write_log(held, misses(count, 10.0))
        baselines.save(held.database, "1.2", log_reading.by_query(held.database, WINDOW, held.monitor), saved_by="Emil")
    frame = read(held.database, baselines.releases()).frame
    assert frame["calls"].tolist() == [30]
    baselines.forget(held.database, "1.2")
    assert read(held.database, baselines.releases()).frame.empty


@pytest.mark.parametrize("name", ["", "  \n\t", "x" * 61, "\x00"])
def test_a_baseline_without_a_name_is_refused(held: Services, name: str) -> None:
    write_log(held, misses(3, 10.0))
    figures = log_reading.by_query(held.database, WINDOW, held.monitor)
    with pytest.raises(baselines.ArgumentError, match="1 to 60 characters"):
        baselines.save(held.database, name, figures, saved_by="Emil")


def test_without_direct_url_nothing_is_saved_and_memory_is_read(make_services: MakeServices) -> None:
    held = make_services(direct_url=None)
    assert log_reading.source_of(held.database) == "memory"
    with pytest.raises(baselines.SettingsError, match="DIRECT_URL"):
        baselines.save(held.database, "1", log_reading.by_query(held.database, WINDOW, held.monitor), saved_by="E")


def test_what_postgresql_has_no_place_for_does_not_fail_the_page(held: Services) -> None:
    poison = [
        replace(one, page="a\x00b\ud800", parameters={"p": "\x00\ud800", "q": ["\x00"]}, slow=True)
        for one in misses(3, 1.0)
    ]
    window = replace(WINDOW, source="memory")
    assert len(log_reading.slow(held.database, window, monitor_of(poison))) == 3


def test_nothing_recorded_is_no_row(held: Services) -> None:
    for ask in (log_reading.figures_by_query, log_reading.slow_list, run_reading.runs, run_reading.repeated):
        assert both(held, [], WINDOW, ask) == []


def test_reading_the_log_is_not_recorded(held: Services) -> None:
    write_log(held, misses(3, 10.0))
    log_reading.by_query(held.database, WINDOW, held.monitor)
    assert held.monitor.recent() == []
