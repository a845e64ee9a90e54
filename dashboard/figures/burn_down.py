"""One tenant's balance: how it came to be, and the fan of what may become of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import plotly.graph_objects as go

from dashboard import words
from dashboard.figures.axes import GRID, label
from dashboard.figures.colours import GREY, HUES
from dashboard.insights.runway import FloatArray, Runway

HEIGHT_PX = 340
_LINE, _BAND, _END = HUES[0], "rgba(58, 151, 206, 0.28)", HUES[5]
# After the last date of interest there is room for so many days, and never fewer than these are shown.
_ROOM_DAYS, _LEAST_DAYS = 5, 14


@dataclass(frozen=True, slots=True)
class Past:
    """The balance at the end of each local day, oldest first; the last one is that of now. None: not known."""

    days: tuple[date, ...]
    balances: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Ahead:
    """The balance to come: at the start, and at the end of each day from today on, with its bounds; empty where there
    is no forecast. `as_it_is` is the middle without the what-if."""

    p10: FloatArray
    p50: FloatArray
    p90: FloatArray
    runway: Runway
    as_it_is: FloatArray | None = None


def burn_down(
    past: Past, ahead: Ahead, now: datetime, *, renews_at: datetime | None, grants: Sequence[float], zone: str
) -> go.Figure:
    """`now` and `renews_at` are local times without zone; `grants` are the credits that are known to come, by day."""
    today = now.date()
    figure = _frame(zone)
    last = _last_day(ahead, renews_at, today)
    first = past.days[0] if past.days else today - timedelta(days=7)
    _add_fan(figure, ahead, now, last)
    _add_past(figure, past, now)
    figure.add_hline(y=0, line={"color": GREY, "width": 1})
    _add_line(figure, now, "now", anchor="right", above=True)
    if renews_at is not None and today <= renews_at.date() <= last:
        is_late = (renews_at.date() - first) > 0.7 * (last - first)
        name = _renewal_label(renews_at, grants, today)
        _add_line(figure, renews_at, name, anchor="right" if is_late else "left", above=False)
    _add_end(figure, ahead.runway, today, last)
    figure.update_xaxes(range=[first.isoformat(), (last + timedelta(days=1)).isoformat()])
    return figure


def _frame(zone: str) -> go.Figure:
    # In one piece, as in `axes.time_figure`.
    return go.Figure(
        layout={
            "template": "none",
            "hovermode": "x unified",
            "dragmode": False,
            "height": HEIGHT_PX,
            "margin": {"l": 48, "r": 8, "t": 26, "b": 46},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "showlegend": False,
            "xaxis": {
                "type": "date",
                "title": {"text": f"Days in {label(zone)}", "font": {"size": 11}, "standoff": 6},
                "tickformat": "%-d %b",
                "hoverformat": "%a %-d %b %Y",
                "nticks": 8,
                "showgrid": False,
                "zeroline": False,
                "tickangle": 0,
                "fixedrange": True,
            },
            "yaxis": {
                "rangemode": "tozero",
                "gridcolor": GRID,
                "zeroline": False,
                "tickformat": "~s",
                "fixedrange": True,
                "nticks": 6,
                "separatethousands": True,
            },
        }
    )


def _add_past(figure: go.Figure, past: Past, now: datetime) -> None:
    """What each day ended with, at its midnight; today's is that of now."""
    places = [min(_end_of(day), now) for day in past.days]
    figure.add_scatter(
        name="Balance",
        x=places,
        y=[None if one is None else float(one) for one in past.balances],
        customdata=[f"{words.exact(one)} credits" for one in past.balances],
        hovertemplate="%{customdata}",
        mode="lines",
        line={"color": _LINE, "width": 2, "shape": "linear"},
        connectgaps=False,
    )


def _add_fan(figure: go.Figure, ahead: Ahead, now: datetime, last: date) -> None:
    if not len(ahead.p50):
        return
    today = now.date()
    places = [now] + [_end_of(today + timedelta(days=day)) for day in range(len(ahead.p50) - 1)]
    places = [one for one in places if one <= _end_of(last)]
    shown = len(places)
    low, middle, high = (values[:shown] for values in (ahead.p10, ahead.p50, ahead.p90))
    figure.add_scatter(x=places, y=high, mode="lines", line={"width": 0}, hoverinfo="skip", name="P90")
    figure.add_scatter(
        x=places,
        y=low,
        mode="lines",
        line={"width": 0},
        fill="tonexty",
        fillcolor=_BAND,
        hoverinfo="skip",
        name="P10 to P90",
    )
    if ahead.as_it_is is not None:
        figure.add_scatter(
            name="As it is",
            x=places,
            y=ahead.as_it_is[:shown],
            mode="lines",
            line={"color": GREY, "width": 1.5, "dash": "dot"},
            customdata=[f"as it is {_rounded(one)}" for one in ahead.as_it_is[:shown]],
            hovertemplate="%{customdata}",
        )
    figure.add_scatter(
        name="Estimate",
        x=places,
        y=middle,
        mode="lines",
        line={"color": _LINE, "width": 2, "dash": "dash"},
        customdata=[
            f"about {_rounded(half)} ({_rounded(least)} to {_rounded(most)})"
            for least, half, most in zip(low, middle, high, strict=True)
        ],
        hovertemplate="%{customdata}",
    )


def _add_line(figure: go.Figure, at: datetime, text: str, *, anchor: str, above: bool) -> None:
    """A line through a moment, its name on one side and above the plot or in it: now and the renewal may be days apart,
    and then their names stand one over the other."""
    figure.add_vline(x=at, line={"color": GREY, "width": 1, "dash": "dot"})
    figure.add_annotation(
        x=at,
        y=1,
        yref="paper",
        yanchor="bottom" if above else "top",
        xanchor=anchor,
        text=text,
        showarrow=False,
        font={"size": 11, "color": GREY},
    )


def _add_end(figure: go.Figure, runway: Runway, today: date, last: date) -> None:
    """Where the middle path runs out; its day is written towards the middle of the chart."""
    if runway.p50_days is None or runway.state != "runs_out":
        return
    day = today + timedelta(days=runway.p50_days)
    figure.add_scatter(
        x=[_end_of(day)],
        y=[0],
        mode="markers+text",
        marker={"color": _END, "size": 10, "symbol": "x"},
        text=[f"{day.day} {day:%b}"],
        textposition="top left" if (last - day).days < _LEAST_DAYS < (last - today).days else "top right",
        textfont={"color": _END},
        hoverinfo="skip",
        cliponaxis=False,
    )


def _last_day(ahead: Ahead, renews_at: datetime | None, today: date) -> date:
    """Far enough to see the end of the fan and the renewal, as far as the forecast reaches."""
    horizon = ahead.runway.horizon_days
    known = [one for one in (ahead.runway.p50_days, ahead.runway.p90_days) if one is not None]
    is_open = ahead.runway.state == "beyond" or (ahead.runway.state == "runs_out" and ahead.runway.p90_days is None)
    if renews_at is not None:
        known.append((renews_at.date() - today).days)
    wanted = horizon if is_open else max([_LEAST_DAYS, *(one + _ROOM_DAYS for one in known)])
    return today + timedelta(days=min(horizon, wanted))


def _renewal_label(renews_at: datetime, grants: Sequence[float], today: date) -> str:
    day = (renews_at.date() - today).days
    granted = grants[day] if 0 <= day < len(grants) else 0
    return f"renewal, +{words.amount(round(granted))}" if granted else "renewal"


def _end_of(day: date) -> datetime:
    return datetime.combine(day + timedelta(days=1), datetime.min.time())


def _rounded(value: float) -> str:
    return words.amount(int(np.rint(value)))
