"""What is chosen on the page: a report, a period, a zone, tenants, and how the file is written. All of it is in the
address; whatever comes from there is untrusted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

import streamlit as st

from dashboard import address, panels, words
from dashboard.board import Board, stop_with
from dashboard.picker import matches
from dashboard.viewer import Viewer
from queries.catalog import tenants
from queries.errors import NotFoundError, UsageDashboardError
from queries.exports.reports import REPORTS, Dialect, Format, Order, Report, month_bounds
from queries.scope import Scope

REPORT, FILE, RAW, TENANT = "report", "file", "raw", "tenant"
# Chosen one by one, and each stands in the address.
MOST_CHOSEN = 25
FILES: Mapping[str, tuple[Format, Dialect]] = {
    "CSV for Excel": ("csv", "excel"),
    "CSV for programs": ("csv", "plain"),
    "CSV, gzip": ("csv.gz", "plain"),
    "Parquet": ("parquet", "plain"),
    "Excel workbook": ("xlsx", "plain"),
}
FIRST_FILE = next(iter(FILES))


@dataclass(frozen=True, slots=True)
class Wanted:
    """One report of some tenants; `first` and `last` are None where the report has no period."""

    board: Board
    report: Report
    scope: Scope
    zone: str
    first: date | None
    last: date | None

    def order(self, now: datetime, *, file: str = FIRST_FILE, guarded: bool = True) -> Order:
        """The order of this file; ArgumentError for what there cannot be."""
        who, days = self.board.viewer, (self.first, self.last)
        return ordered(who, self.report, self.scope, self.zone, days, now, file=file, guarded=guarded)

    @property
    def days(self) -> str:
        """The period in words."""
        if self.first is None or self.last is None:
            return "now"
        return words.days(self.first, self.last)


def ordered(
    who: Viewer,
    report: Report,
    scope: Scope,
    zone: str,
    days: tuple[date | None, date | None],
    now: datetime,
    *,
    file: str,
    guarded: bool,
) -> Order:
    """What this person may have of a report."""
    kind, dialect = FILES[file]
    return Order(
        report=report.name,
        scope=scope,
        zone=zone,
        first=days[0],
        last=days[1],
        now=now,
        format=kind,
        dialect=dialect,
        guarded=guarded,
        with_prompts=who.reads_prompts_of(scope),
    )


def open_wanted(board: Board) -> Wanted:
    """The controls of the page, read; ends the run when nothing can be ordered."""
    takes = {name: one for name, one in REPORTS.items() if _is_offered(board.viewer, one)}
    if not takes:
        panels.no_permission("of yours", "Exports")
        st.stop()
    titles = [one.title for one in takes.values()]
    wrong = address.complaints(
        {
            REPORT: address.one_of("report", titles, f"the {titles[0].lower()} is shown"),
            FILE: address.one_of("file", list(FILES), f"the file is {FIRST_FILE}"),
            RAW: address.one_of("choice of raw text", ["true", "false"], "texts are guarded"),
        }
    )
    with board.bar:
        name = st.selectbox(
            "Report",
            list(takes),
            format_func=lambda one: REPORTS[one].title,
            key=REPORT,
            bind="query-params",
            persist_state="session",
            on_change=address.forgive,
            args=(REPORT,),
            width=160,
        )
    board.filter_row()
    report = takes[name]
    board.viewer = board.viewer.taking(name)
    if not report.has_period:
        st.caption(f"{report.title} are as they are now: the period above does not count for this report.")
    scope = _tenants(board) if report.has_tenants else Scope.all_tenants()
    address.show(wrong)
    first, last = _dates(board, report)
    return Wanted(board, report, scope, board.zone, first, last)


def _is_offered(who: Viewer, report: Report) -> bool:
    """What is not of tenants is of all of them: it is no report for somebody who sees some."""
    return who.may_take(report.name) and (report.has_tenants or who.taking(report.name).scope.is_all)


def _dates(board: Board, report: Report) -> tuple[date | None, date | None]:
    if not report.has_period:
        return None, None
    first, last = board.period.first_date, board.period.last_date
    return (month_bounds(first)[0], month_bounds(last)[1]) if report.is_monthly else (first, last)


def _tenants(board: Board) -> Scope:
    """All of the viewer's tenants, or those that are chosen one by one."""
    chosen = list(dict.fromkeys(st.query_params.get_all(TENANT)))[:MOST_CHOSEN]
    try:
        scope = board.viewer.scope.narrowed(chosen) if chosen else board.viewer.scope
        names = _names(board, scope) if chosen else {}
        if set(names) != set(chosen):
            raise NotFoundError("no such tenant, or it is not one of yours; choose one from the list")
    except NotFoundError as error:
        panels.failure(error, key="tenants")
        st.button("Show all tenants", on_click=_choose_all, type="primary")
        st.stop()
    except UsageDashboardError as error:
        stop_with(error, board.visit)
    everybody = "All tenants" if board.viewer.scope.is_all else "All my tenants"
    with board.bar, st.popover(words.counted(len(chosen), "tenant") if chosen else everybody, icon=":material/group:"):
        if chosen:
            st.caption("In the file:")
            for one in chosen:
                st.button(
                    words.plain(f"{words.shortened(names[one], 40)}"),
                    key=f"without-{one}",
                    icon=":material/close:",
                    help="Leave this tenant out",
                    on_click=_leave_out,
                    args=(one,),
                    type="tertiary",
                )
            st.button(everybody, on_click=_choose_all, type="tertiary", icon=":material/group:")
        if len(chosen) < MOST_CHOSEN:
            st.caption("Only some tenants: choose them one by one." if not chosen else "Add another:")
            matches(board, key="exported", choose=_add)
    return scope


def _names(board: Board, scope: Scope) -> dict[str, str]:
    frame = board.run(tenants.tenant_choices(scope, search="", limit=MOST_CHOSEN)).frame
    return dict(zip(frame["tenant_id"], frame["tenant"], strict=True))


def _add(tenant_id: str) -> None:
    st.query_params[TENANT] = list(dict.fromkeys([*st.query_params.get_all(TENANT), tenant_id]))


def _leave_out(tenant_id: str) -> None:
    st.query_params[TENANT] = [one for one in st.query_params.get_all(TENANT) if one != tenant_id]


def _choose_all() -> None:
    st.query_params.pop(TENANT, None)
