"""How much of its daily quotas the tenant uses, by type and day."""

from __future__ import annotations

from datetime import date, timedelta
from functools import partial
from typing import Any

import streamlit as st

from dashboard import panels, words
from dashboard.board import Board
from dashboard.figures.heatmaps import heatmap
from dashboard.tables.cells import records
from queries.catalog import limits
from queries.catalog.limits import QUOTA_ZONE
from queries.period import Period, local_date
from queries.query import Result
from queries.scope import Scope

DAYS, TYPES = 28, 12


def view(board: Board, scope: Scope) -> None:
    """The questions and panels of the view: 28 days up to the period's end."""
    days = quota_days(board.period)
    board.ask({"limits": limits.by_day(scope, period=days, top=TYPES)})
    board.panel("Quota used by type and day", ("limits",), partial(quota_heatmap, days), height=300)


def quota_days(period: Period) -> Period:
    """The 28 days up to the period's end, and on top the day in progress, by the application's own days."""
    last = local_date(max(period.start, period.until - timedelta(microseconds=1)), QUOTA_ZONE)
    return Period.of_dates(last - timedelta(days=DAYS), last, zone=QUOTA_ZONE, now=period.now, grain="day")


def quota_heatmap(period: Period, result: Result) -> None:
    """Count against limit of each type and day; days on which the limit was hit are marked and listed."""
    frame = result.frame
    if frame.empty:
        st.info(
            f"No daily limit is known for this tenant, {words.span(period)}. Limits appear here with the first row that"
            " the application writes for a type."
        )
        return
    days = [period.first_date + timedelta(days=number) for number in range(DAYS + 1)]
    cells = {(row["type"], row["day"]): row for row in records(frame)}
    types = list(dict.fromkeys(frame["type"]))
    of = [[cells.get((one, day)) for day in days] for one in types]
    figure = heatmap(
        [words.readable(one) for one in types],
        [f"{day.day} {day:%b}" for day in days],
        [[used_share(one) for one in line] for line in of],
        [[_said(one, day) for one, day in zip(line, days, strict=True)] for line in of],
        highest=1.0,
        title=f"Days in {QUOTA_ZONE}, as the application counts its quotas",
        marks={
            (row, column)
            for row, line in enumerate(of)
            for column, one in enumerate(line)
            if one is not None and one["is_hit"]
        },
        is_dark=st.context.theme.type == "dark",
    )
    hits = [row for row in cells.values() if row["is_hit"]]
    panels.chart(figure, alt=f"Heatmap: share of the daily limit by type and day, {len(hits)} hits", key="quotas")
    st.caption("The stronger the colour, the more of the limit was used; ✕ the limit was hit; blank: no limit known.")
    for line in hit_lines(hits, types):
        st.markdown(words.plain(line))
    if int(frame["types"].iloc[0]) > len(types):
        st.caption(f"The {len(types)} types with the most hits of {int(frame['types'].iloc[0]):,}.")


def used_share(row: dict[str, Any] | None) -> float | None:
    """Count over limit; a limit of 0 is used up by the first try."""
    if row is None:
        return None
    count, limit = int(row["count"]), int(row["limit"])
    return count / limit if limit > 0 else float(count > 0)


def hit_lines(hits: list[dict[str, Any]], types: list[str]) -> list[str]:
    """On how many days each type hit its limit, and when last."""
    if not hits:
        return ["No limit was hit on these days."]
    lines = []
    for one in types:
        days: list[date] = sorted(row["day"] for row in hits if row["type"] == one)
        if days:
            times = words.counted(len(days), "day")
            lines.append(f"{words.readable(one)}: limit hit on {times}, the last on {words.day(days[-1])}.")
    return lines


def _said(row: dict[str, Any] | None, day: date) -> str:
    if row is None:
        return ""
    count, limit = int(row["count"]), int(row["limit"])
    share = words.percent(count / limit) if limit > 0 else "the limit is 0"
    hit = "<br>limit hit" if row["is_hit"] else ""
    return f"{words.day(day)}<br>{words.exact(count)} of {words.exact(limit)} ({share}){hit}"
