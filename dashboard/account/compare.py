"""This period against the one before, like for like; and two tenants beside each other on one scale."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import streamlit as st

from dashboard import headline, palette, panels, words
from dashboard.account.arrival import companion, named
from dashboard.board import Board
from dashboard.figures.credits import burn_bars
from dashboard.figures.usage import on_one_scale, usage_bars
from dashboard.tables import comparison
from queries.catalog import credits, usage
from queries.period import Period
from queries.query import Query, Result
from queries.scope import Scope


def view(board: Board, scope: Scope) -> None:
    """The questions and panels of the view; each tenant asks the same."""
    own, beside = named(board, scope.ordered_ids[0]), companion(board)
    sides = [(words.shortened(name, 40), side) for side, name in (own, *([beside] if beside is not None else []))]
    questions: dict[str, Query] = {}
    for number, (_, side) in enumerate(sides):
        questions |= _questions(side, board.period, number)
    board.ask(questions)
    names = [one for one, _ in sides]
    hues = _hues([side for _, side in sides])
    numbers = range(len(sides))
    board.panel(
        "Complete days against the days before",
        [f"now {one}" for one in numbers],
        partial(figures, board.period, names),
        height=230,
    )
    board.panel(
        "Generations",
        [f"{one} {number}" for number in numbers for one in ("usage", "before")],
        partial(generations, board.period, names, hues),
        height=300,
    )
    board.panel(
        "Credits burned per day",
        [f"burn {one}" for one in numbers],
        partial(burned, board.period, names, hues),
        height=300,
    )


def _questions(side: Scope, period: Period, number: int) -> dict[str, Query]:
    before = period.previous().with_grain(period.grain)
    return {
        f"now {number}": usage.totals(side, period=period),
        f"usage {number}": usage.over_time(side, period=period, split="none"),
        f"before {number}": usage.over_time(side, period=before, split="none"),
        f"burn {number}": credits.burn_over_time(side, period=period.with_grain("day")),
    }


def figures(period: Period, names: Sequence[str], *totals: Result) -> None:
    """The five figures of the complete days, of as many days before, and the change."""
    st.caption(
        words.plain(
            f"Complete days of {words.span(period)} against the {words.previous_days(period)}; the day in progress is"
            " left out."
        )
    )
    rows = [words.first_row(one.frame) for one in totals]
    comparison.table([(name, headline.compared(row)) for name, row in zip(names, rows, strict=True)], key="compared")


def generations(period: Period, names: Sequence[str], hues: Sequence[str], *results: Result) -> None:
    """Generations per bucket with the previous period's line, one chart for each tenant."""
    pairs = list(zip(results[::2], results[1::2], strict=True))
    charts = [usage_bars(now.frame, period, split="none", previous=before.frame) for now, before in pairs]
    totals = [int(now.frame["generations"].sum()) for now, _ in pairs]
    _beside(names, hues, charts, totals, "generations", period)
    st.caption(words.plain(f"Grey line: the {words.previous_days(period)}."))


def burned(period: Period, names: Sequence[str], hues: Sequence[str], *results: Result) -> None:
    """Net credits burned per day, one chart for each tenant."""
    charts = [burn_bars(one.frame, period.with_grain("day")) for one in results]
    totals = [sum(one.frame["net_burn_credits"]) for one in results]
    _beside(names, hues, charts, totals, "net credits burned", period)


def _hues(sides: Sequence[Scope]) -> list[str]:
    """Each tenant in the colour that it has on the other pages of this visit."""
    ids = [one.ordered_ids[0] for one in sides]
    chosen = palette.kept("tenant", ids)
    return [chosen[one] for one in ids]


def _beside(
    names: Sequence[str], hues: Sequence[str], charts: Sequence[Any], totals: Sequence[Any], what: str, period: Period
) -> None:
    on_one_scale(charts)
    places = zip(st.columns(len(names)), names, hues, charts, totals, strict=True)
    for number, (place, name, hue, chart, total) in enumerate(places):
        chart.update_traces(marker_color=hue, selector={"type": "bar"})
        with place:
            if len(names) > 1:
                st.markdown(f"**{words.plain(name)}**")
            alt = f"Bars: {what} of {name}, {words.span(period)}, {words.exact(total)} in all"
            panels.chart(chart, alt=alt, key=f"{what}-{number}")
