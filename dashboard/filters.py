"""The row of filters that pages share. All of it is in the URL; whatever comes from there is untrusted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any

import streamlit as st

from dashboard import address
from queries.errors import PeriodError
from queries.period import (
    EARLIEST,
    GRAINS,
    LATEST,
    Grain,
    Period,
    automatic_grain,
    floored,
    known_zones,
    local_date,
    zone_info,
)

NOW_STEP_S, LIVE_STEP_S = 300, 60
DEFAULT_PRESET = "Last 28 days"
CUSTOM = "Custom"
_DEFAULT_DAYS = 28

PERIOD, ZONE, FROM, TO = "period", "zone", "from", "to"
GRAIN, AUTOMATIC = "grain", "Automatic"
GRAIN_NAMES = (AUTOMATIC, *(one.capitalize() for one in GRAINS))
_COMPLAINTS, _CHECKED = "filters_complaints", "filters_checked"
_KEPT, _PAGE = "filters_kept", "filters_page"


@dataclass(frozen=True, slots=True)
class Filters:
    """What the filter row says: the period, and whether the caches are to be bypassed this once."""

    period: Period
    preset: str
    refresh: bool = False


def utc_now() -> datetime:
    """The clock of page runs."""
    return datetime.now(UTC)


def _this_month(today: date) -> tuple[date, date]:
    return today.replace(day=1), today


def _last_month(today: date) -> tuple[date, date]:
    last = today.replace(day=1) - timedelta(days=1)
    return last.replace(day=1), last


def _last(days: int) -> Callable[[date], tuple[date, date]]:
    return lambda today: (today - timedelta(days=days), today)


PRESETS: Mapping[str, Callable[[date], tuple[date, date]]] = {
    "Last 7 days": _last(7),
    DEFAULT_PRESET: _last(_DEFAULT_DAYS),
    "Last 90 days": _last(90),
    "This month": _this_month,
    "Last month": _last_month,
}


def row(default_zone: str, page: str, bar: Any) -> Filters:
    """Draw the filters into the page's bar and read them. PeriodError when what is asked for cannot be answered."""
    _carry_over(page)
    complaints = _complaints_of_url()
    now = floored(utc_now(), NOW_STEP_S)
    with bar:
        preset = st.selectbox(
            "Period",
            [*PRESETS, CUSTOM],
            index=list(PRESETS).index(DEFAULT_PRESET),
            key=PERIOD,
            bind="query-params",
            persist_state="session",
            on_change=forgive,
            width=140,
            help="Last 7, 28 or 90 days: so many that are over, and today so far. What is compared with the days before"
            " leaves today out.",
        )
        zone = st.selectbox(
            "Time zone",
            zones(default_zone),
            key=ZONE,
            bind="query-params",
            persist_state="session",
            on_change=forgive,
            width=160,
            help="Days, weeks and months start at midnight of this zone.",
        )
        first, last = _custom_dates(now, zone) if preset == CUSTOM else PRESETS[preset](local_date(now, zone))
        st.session_state[_KEPT] = {PERIOD: preset, ZONE: zone, FROM: first, TO: last}
        refresh = st.button("Refresh", icon=":material/refresh:", help="Read the database again, past the caches.")
    if complaints:
        raise PeriodError("; ".join(complaints))
    return Filters(Period.of_dates(first, last, zone=zone, now=now), preset, refresh)


def grain_choice() -> Grain | None:
    """The control of how fine a chart is; None is the finest that fits."""
    chosen = st.selectbox(
        "By",
        GRAIN_NAMES,
        key=GRAIN,
        bind="query-params",
        persist_state="session",
        on_change=address.forgive,
        args=(GRAIN,),
        width=120,
        help="Minute, hour, day, week or month. Automatic is the finest with at most 400 points.",
    )
    return next((one for one in GRAINS if one.capitalize() == chosen), None)


def by_grain(period: Period, chosen: Grain | None) -> tuple[Period, str]:
    """The period by the chosen grain, or by the finest one that fits on a chart; and why it is not the chosen one."""
    finest = automatic_grain(period.start, period.end)
    if chosen is None or GRAINS.index(chosen) >= GRAINS.index(finest):
        return period.with_grain(chosen or finest), ""
    minutes = {"minute": 1, "hour": 60, "day": 1440, "week": 10_080, "month": 43_200}[chosen]
    points = round((period.end - period.start).total_seconds() / 60 / minutes)
    return period.with_grain(finest), (
        f"By {chosen} this period has about {points:,} points, and a chart holds 400. It is shown by {finest}; zoom in"
        f" to see each {chosen}."
    )


@cache
def zones(default_zone: str) -> list[str]:
    """Every IANA zone; the deployment's own and UTC first."""
    first = list(dict.fromkeys([default_zone, "UTC"]))
    return first + sorted(known_zones() - set(first) - {"localtime", "Factory"})


def forgive() -> None:
    """Forget what was wrong with the URL: the person has chosen anew."""
    st.session_state.pop(_COMPLAINTS, None)


def choose_default(default_zone: str) -> None:
    """Back to the last 28 days, in the zone of the deployment. A callback."""
    forgive()
    st.session_state[PERIOD] = DEFAULT_PRESET
    st.session_state[ZONE] = default_zone


def local_day(instant: datetime, zone: str) -> date:
    return local_date(instant, zone)


def choose_days_until(last: date) -> None:
    """The 28 days up to this one. A callback."""
    choose_days(last - timedelta(days=_DEFAULT_DAYS - 1), last)


def choose_days(first: date, last: date) -> None:
    """The days from first to last. A callback."""
    forgive()
    are_controls_there = st.session_state.get(PERIOD) == CUSTOM
    st.session_state[PERIOD] = CUSTOM
    for name, day in ((FROM, first), (TO, last)):
        st.session_state[name] = day
        # A date control that was not there before does not write itself into the URL; one that is there must.
        if not are_controls_there:
            st.query_params[name] = day.isoformat()


def _carry_over(page: str) -> None:
    """Going to another page empties the URL: bring the filters along, unless the new URL has its own."""
    if st.session_state.get(_PAGE) == page:
        return
    st.session_state[_PAGE] = page
    kept = st.session_state.get(_KEPT)
    if kept is None or any(name in st.query_params for name in (PERIOD, ZONE, FROM, TO)):
        return
    for name, value in kept.items():
        if name in (PERIOD, ZONE) or kept[PERIOD] == CUSTOM:
            st.session_state[name] = value


def _custom_dates(now: datetime, zone: str) -> tuple[date, date]:
    today = local_date(now, zone)
    # Put in as values and not as defaults: a default is left out of the URL, and means another day tomorrow.
    for name, start in ((FROM, today - timedelta(days=_DEFAULT_DAYS - 1)), (TO, today)):
        if name not in st.session_state and name not in st.query_params:
            st.session_state[name] = start
    first, last = (
        st.date_input(
            label,
            None,
            min_value=EARLIEST,
            max_value=LATEST - timedelta(days=1),
            format="YYYY-MM-DD",
            key=name,
            bind="query-params",
            persist_state="session",
            on_change=forgive,
            width=172,
        )
        for label, name in (("From", FROM), ("To", TO))
    )
    if not isinstance(first, date) or not isinstance(last, date):
        # A bad day in the URL has its own words.
        raise PeriodError("; ".join(_complaints_of_url()) or "a custom period needs two days; choose From and To")
    return first, last


def _complaints_of_url() -> list[str]:
    """What is wrong with the URL, looked at once and kept until the person changes a filter: Streamlit drops bad values
    from the URL, and the page must not pass over them in silence on the next run."""
    asked = tuple(st.query_params.get(name) for name in (PERIOD, ZONE, FROM, TO))
    if asked != st.session_state.get(_CHECKED):
        st.session_state[_CHECKED] = asked
        found = [words for check in (_period_complaint, _zone_complaint, _dates_complaint) if (words := check())]
        if found:
            st.session_state[_COMPLAINTS] = found
    kept: list[str] = st.session_state.get(_COMPLAINTS, [])
    return kept


def _period_complaint() -> str:
    asked = st.query_params.get(PERIOD)
    known = (*PRESETS, CUSTOM)
    return (
        "" if asked is None or asked in known else f"the link's period is not known; choose one of {', '.join(known)}"
    )


def _zone_complaint() -> str:
    asked = st.query_params.get(ZONE)
    if asked is None:
        return ""
    try:
        zone_info(asked)
    except PeriodError as error:
        return error.message
    return ""


def _dates_complaint() -> str:
    days: list[date] = []
    for name in (FROM, TO):
        asked = st.query_params.get(name)
        if asked is None:
            continue
        try:
            days.append(date.fromisoformat(asked))
        except ValueError:
            return f"the link's day `{name}` is not a date; write it as 2026-05-07"
        if not EARLIEST <= days[-1] < LATEST:
            return f"the period is out of range; choose dates between {EARLIEST} and {LATEST - timedelta(days=1)}"
    if len(days) == 2 and days[0] > days[1]:
        return f"from ({days[0]}) is after to ({days[1]}); choose a start before the end"
    return ""
