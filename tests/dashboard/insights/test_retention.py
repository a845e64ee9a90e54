"""Net usage retention, and cohorts with their unobserved weeks left open."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.insights.retention import Cell, Cohorts, cohorts, labels, net_usage_retention

THIS_WEEK = date(2026, 11, 23)
WEEK = timedelta(days=7)
COLUMNS = ["cohort_week", "week", "active_tenants", "cohort_size"]


def made(*rows: tuple[date, date, int, int]) -> Cohorts:
    return cohorts(pd.DataFrame(rows, columns=COLUMNS), this_week=THIS_WEEK)


@pytest.mark.parametrize(
    ("now", "base", "value", "reason"),
    [
        (900, 1000, 0.9, "900 credits burned by the tenants that burned 1,000 in the base window"),
        (Decimal("15000.50"), Decimal(10_000), 1.50005, "15.0 k credits burned by the tenants that burned 10.0 k"),
        (0, 10, 0, "0 credits burned"),
        (None, 10, 0, "0 credits burned"),
        (5, 0, None, "not enough data: the tenants active in the base window burned no credits then"),
        (5, None, None, "not enough data"),
        (5, -3, None, "not enough data"),
    ],
)
def test_net_usage_retention(now, base, value, reason):
    found = net_usage_retention(now, base)
    assert found.value == value
    assert found.reason.startswith(reason)


def test_unobserved_weeks_are_open_and_the_running_one_is_marked():
    first, second = THIS_WEEK - 2 * WEEK, THIS_WEEK
    found = made(
        (second, second, 2, 5),
        (first, first, 4, 4),
        (first, THIS_WEEK, 1, 4),
        (first, THIS_WEEK + WEEK, 3, 4),
    )
    assert found.weeks == (first, second)
    assert found.sizes == (4, 5)
    assert found.cells == (
        # Nobody was active in the week between: it was observed, and is 0.
        (Cell(4, 1.0, False), Cell(0, 0.0, False), Cell(1, 0.25, True)),
        (Cell(2, 0.4, True), None, None),
    )
    assert found.shares() == [[1.0, 0.0, 0.25], [0.4, None, None]]


def test_cohorts_of_the_future_and_without_tenants_are_left_out():
    assert made((THIS_WEEK + WEEK, THIS_WEEK + WEEK, 1, 1), (THIS_WEEK, THIS_WEEK, 0, 0)) == Cohorts((), (), ())
    assert made() == Cohorts((), (), ())


@pytest.mark.parametrize("column", [pd.to_datetime, lambda values: pd.Series(values).astype("date32[pyarrow]")])
def test_weeks_may_be_dates_or_timestamps(column):
    frame = pd.DataFrame([(THIS_WEEK - WEEK, THIS_WEEK, 1, 2)], columns=COLUMNS)
    for name in ("cohort_week", "week"):
        frame[name] = column(frame[name])
    assert cohorts(frame, this_week=THIS_WEEK).cells == ((Cell(0, 0.0, False), Cell(1, 0.5, True)),)


@given(st.dictionaries(st.tuples(st.integers(0, 20), st.integers(0, 20)), st.integers(1, 9), max_size=40))
def test_every_observed_cell_is_its_row_or_nothing(active):
    rows = [
        (THIS_WEEK - back * WEEK, THIS_WEEK - (back - after) * WEEK, count, 9)
        for (back, after), count in active.items()
    ]
    found = made(*rows)
    assert set(found.weeks) == {week for week, *_ in rows}
    for week, row in zip(found.weeks, found.cells, strict=True):
        back = (THIS_WEEK - week).days // 7
        assert len(row) == (THIS_WEEK - found.weeks[0]).days // 7 + 1
        assert [cell is None for cell in row] == [after > back for after in range(len(row))]
        assert [cell.active for cell in row if cell] == [active.get((back, after), 0) for after in range(back + 1)]
        assert [cell.in_progress for cell in row if cell] == [False] * back + [True]


def test_columns_have_headings():
    assert list(labels(3)) == ["first week", "+1", "+2"]
    assert list(labels(0)) == []
