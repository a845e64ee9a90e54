"""What would be in the file: rows, exact sums and first rows, with the time at which they were read."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any

import pandas as pd
import streamlit as st

from dashboard import words
from dashboard.exports.making import closed_month, preview_of
from dashboard.exports.wanted import MOST_CHOSEN, Wanted
from dashboard.services import current
from dashboard.tables.cells import static_table
from queries.exports.copying import Preview
from queries.exports.reports import Column, Order, Report
from queries.query import Result, read_elsewhere

# A person who tries formats asks for the same again and again.
_KEPT_S, _MOST_KEPT = 60.0, 64
_LONGEST_CELL, _LONGEST_ID = 200, 60


@dataclass(slots=True)
class Contents:
    """The preview of one run of the page, once its panel has asked for it."""

    wanted: Wanted
    preview: Preview | None = None

    def reading(self) -> Callable[[], Result]:
        """For the board: the first rows as an answer."""
        return self._read

    def _read(self) -> Result:
        order = self.wanted.order(self.wanted.board.period.now)
        started = time.perf_counter()
        self.preview, is_kept = _preview(order, refresh=self._is_refresh)
        return read_elsewhere(
            "exports.preview",
            self.preview.first.to_pandas(types_mapper=pd.ArrowDtype),
            as_of=self.preview.as_of,
            spent_ms=(time.perf_counter() - started) * 1000,
            told=_ABOUT,
            asked={"report": order.report, "from": str(order.first), "to": str(order.last), "zone": order.zone},
            scope=order.scope,
            is_kept=is_kept,
        )

    @property
    def _is_refresh(self) -> bool:
        shown = self.wanted.board.filters
        return shown is not None and shown.refresh

    def sums(self, _: Result) -> None:
        """Rows and sums of all of it, and whether it will be the same tomorrow."""
        preview = self.preview
        assert preview is not None, "the panel's answer has been read"
        wanted, report = self.wanted, self.wanted.report
        st.markdown(
            f"**{words.counted(preview.rows, 'row')}** · {words.plain(wanted.days)} · {words.plain(_whose(wanted))}"
        )
        st.caption(words.plain(standing(wanted.order(wanted.board.period.now), wanted.zone)))
        if report.summed and preview.rows:
            static_table(
                _sums_frame(report, preview),
                columns={"column": "Column", "sum": st.column_config.TextColumn("Sum of all rows", alignment="right")},
                key="export-sums",
                alt=f"Exact sums of {words.counted(len(report.summed), 'column')} over all rows",
            )
            if _adds_balances(wanted):
                st.caption(
                    "Opening and closing are added over several months here, as the manifest adds them to check the"
                    " file: these two sums are no balance."
                )
        if not preview.rows:
            st.info(
                f"No rows in {report.title.lower()} for {wanted.days}. The file would hold its header only; choose"
                " another period or other tenants.",
                icon=":material/hourglass_empty:",
            )

    def first_rows(self, result: Result) -> None:
        """The first rows as they will stand in the file."""
        if result.frame.empty:
            st.caption("There are no rows to show.")
            return
        shown = result.frame.apply(lambda column: column.map(_cell))
        static_table(
            shown,
            columns={one.name: _column(one) for one in self.wanted.report.columns},
            key="export-first",
            alt=f"The first {words.counted(len(shown), 'row')} of {self.wanted.report.title.lower()}",
        )


_ABOUT = "The count, the sums and the first rows of the export's own statement, in one snapshot."


def standing(order: Order, zone: str) -> str:
    """Closed or provisional, in words."""
    month = closed_month(current(), order)
    if month is not None:
        return (
            f"Closed on {words.moment(month.closed_at, zone)} by {month.closed_by}: the rows are those frozen then. As"
            " CSV the file is the same byte for byte whenever it is fetched; gzip, Parquet and Excel are for as long"
            " as the libraries that write them keep their versions. Rows that came later are corrections of the open"
            " month."
        )
    return "Provisional: rows that come or change later are in a file that is fetched later."


def _whose(wanted: Wanted) -> str:
    ids = wanted.scope.ids
    if not wanted.report.has_tenants:
        return "of this dashboard"
    return "all tenants" if ids is None else words.counted(len(ids), "tenant")


def named_tenants(ids: Sequence[str]) -> str:
    """The tenants that a filter names, by id."""
    named = ", ".join(words.shortened(one, _LONGEST_ID) for one in ids[:MOST_CHOSEN])
    more = len(ids) - MOST_CHOSEN
    return f"Tenants: {named}{f' and {more:,} more' if more > 0 else ''}"


def _adds_balances(wanted: Wanted) -> bool:
    """Whether a sum of the file adds balances of several months."""
    has_balances = {"opening", "closing"} <= {one.name for one in wanted.report.summed}
    first, last = wanted.first, wanted.last
    return (
        has_balances and first is not None and last is not None and (first.year, first.month) != (last.year, last.month)
    )


def _sums_frame(report: Report, preview: Preview) -> pd.DataFrame:
    names = [one.name for one in report.summed]
    return pd.DataFrame({"column": names, "sum": [words.exact(Decimal(preview.sums[one])) for one in names]})


def _column(one: Column) -> Any:
    is_number = one.kind in ("integer", "number")
    return st.column_config.TextColumn(one.name, alignment="right" if is_number else "left")


def _cell(value: Any) -> str | None:
    """One value as text: what is cut is said by its ellipsis."""
    if value is None or value is pd.NA or value is pd.NaT or value != value:
        return None
    if isinstance(value, Decimal):
        return words.exact(value)
    if isinstance(value, pd.Timestamp):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, date):
        return value.isoformat()
    return words.exact(value) if isinstance(value, int) else words.shortened(value, _LONGEST_CELL)


_kept: OrderedDict[tuple[str, Order], tuple[float, Preview]] = OrderedDict()
_lock = threading.Lock()


def _preview(order: Order, *, refresh: bool) -> tuple[Preview, bool]:
    """The preview of an order, kept for a minute; whether it was kept."""
    key = (current().database.identity, replace(order, format="csv", dialect="plain", guarded=True))
    with _lock:
        asked_at, found = _kept.get(key, (float("-inf"), None))
    if found is not None and not refresh and time.monotonic() - asked_at < _KEPT_S:
        return found, True
    made = preview_of(current(), order)
    with _lock:
        _kept[key] = (time.monotonic(), made)
        while len(_kept) > _MOST_KEPT:
            _kept.popitem(last=False)
    return made, False
