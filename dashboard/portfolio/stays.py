"""Who stays: weekly cohorts by first generation."""

from __future__ import annotations

from functools import partial

import streamlit as st

from dashboard import panels, words
from dashboard.figures.retention import SO_FAR, cohort_cells
from dashboard.insights.retention import cohorts
from dashboard.portfolio.wanted import Portfolio
from queries.catalog.cohorts import cohorts as cohorts_query
from queries.catalog.cohorts import newest_week
from queries.query import Result

COHORT_WEEKS = 26
_OPEN = "cohorts"


def section(portfolio: Portfolio) -> None:
    """Closed until somebody asks: it is looked at once a week, and not before each call. A link can open it."""
    box = st.expander("Weekly cohorts: who stays after they began", key=_OPEN, on_change="rerun", bind="query-params")
    if not box.open:
        return
    board = portfolio.board
    board.ask({"cohorts": cohorts_query(portfolio.scope, now=portfolio.now, zone=board.zone, weeks=COHORT_WEEKS)})
    board.panel("", ("cohorts",), partial(weekly_cohorts, portfolio), height=240, place=box)


def weekly_cohorts(portfolio: Portfolio, result: Result) -> None:
    """A row for each week in which tenants began; the share of them that were active in each week since."""
    found = cohorts(result.frame, this_week=newest_week(portfolio.now, portfolio.board.zone))
    if not found.weeks:
        st.info(
            f"No tenant made its first generation in the last {COHORT_WEEKS} weeks, so there is no cohort to follow."
        )
        return
    began = sum(found.sizes)
    st.caption(
        f"{words.counted(began, 'tenant')} that began in the last {COHORT_WEEKS} weeks, whatever the search. In each"
        f" cell: the percentage with at least one successful generation in that week; “{SO_FAR}” marks the week in"
        " progress, and weeks to come are blank. Weeks start on Monday."
    )
    alt = f"Share of active tenants by week since their first generation, {words.counted(len(found.weeks), 'cohort')}"
    panels.chart(cohort_cells(found, is_dark=st.context.theme.type == "dark"), alt=alt, key="cohort-cells")
