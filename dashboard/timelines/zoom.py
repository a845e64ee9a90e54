"""The part of the period that was dragged over: exact instants in the URL, and the way back out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import streamlit as st

from dashboard import filters, words
from dashboard.account import sought
from queries.errors import PeriodError
from queries.period import EARLIEST, LATEST, Period, automatic_grain, local_date, local_midnight, zone_info

FROM, TO = "zfrom", "zto"
_FILTERS = (filters.PERIOD, filters.FROM, filters.TO)
_WAY_BACK, _SEEN = "zoom_way_back", "zoom_seen"
SHORTEST = timedelta(minutes=1)


def within(period: Period) -> tuple[Period, str]:
    """The zoomed period by its automatic grain, or the period itself; and what is wrong with the zoom of the link. A
    period that was chosen anew ends the zoom."""
    now = _filters_now()
    if st.session_state.get(_SEEN, now) != now:
        _forget()
    st.session_state[_SEEN] = now
    asked = st.query_params.get(FROM), st.query_params.get(TO)
    if asked == (None, None):
        return period, ""
    try:
        start, end = (_instant(one) for one in asked)
        if end - start < SHORTEST:
            raise PeriodError("its end is not at least a minute after its start")
        return replace(period, start=start, end=end, grain=automatic_grain(start, end)), ""
    except PeriodError as error:
        return period, f"The link's zoom cannot be shown: {error.message}; the whole period is shown."


def is_zoomed() -> bool:
    """Whether there is a way out of a zoom."""
    return bool(st.session_state.get(_WAY_BACK)) or FROM in st.query_params or TO in st.query_params


def zoom_to(start: datetime, end: datetime, zone: str) -> None:
    """Show this part only: whole local days become the page's period, which other pages then show too; parts of days
    are instants in the URL. A callback."""
    way_back: list[dict[str, Any]] = st.session_state.setdefault(_WAY_BACK, [])
    way_back.append(_snapshot())
    first, last = (local_date(one, zone) for one in (start, end))
    if last > first and all(one == local_midnight(local_date(one, zone), zone) for one in (start, end)):
        filters.choose_days(first, last - timedelta(days=1))
        _ask(None, None)
    else:
        _ask(*(one.astimezone(UTC).isoformat().replace("+00:00", "Z") for one in (start, end)))
    sought.forget()
    st.session_state[_SEEN] = _filters_now()


def out() -> None:
    """One zoom back; out of a copied link's zoom altogether. A callback."""
    way_back = st.session_state.get(_WAY_BACK) or [None]
    _restore(way_back.pop())


def all_the_way() -> None:
    """The period as it was before the first zoom. A callback."""
    way_back = st.session_state.get(_WAY_BACK) or [None]
    _restore(way_back[0])
    st.session_state[_WAY_BACK] = []


def control(period: Period) -> None:
    """Which part is shown, and the way out of it."""
    if not is_zoomed():
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption(f"Zoomed to {words.plain(times(period.start, period.end, period.zone))}", width="content")
        st.button("Zoom out", on_click=out, icon=":material/zoom_out:", type="tertiary")
        if len(st.session_state.get(_WAY_BACK, ())) > 1:
            st.button("Whole period", on_click=all_the_way, icon=":material/zoom_out_map:", type="tertiary")


def times(start: datetime, end: datetime, zone: str) -> str:
    """ "3 Nov 2026, 14:00 to 4 Nov 2026, 09:00 (UTC+1)"; whole days by their dates."""
    info = zone_info(zone)
    first, last = start.astimezone(info), end.astimezone(info)
    if first.strftime("%H%M") == last.strftime("%H%M") == "0000":
        return words.days(first.date(), max(first.date(), last.date() - timedelta(days=1)))
    until = f"{last:%H:%M}" if first.date() == last.date() else f"{words.day(last.date())}, {last:%H:%M}"
    return f"{words.day(first.date())}, {first:%H:%M} to {until} ({words.offset(last)})"


def by_keyboard(names: Sequence[str], starts: Sequence[datetime], ends: Sequence[datetime], zone: str) -> None:
    """The same zoom without a mouse: a range of buckets by their names."""
    if len(names) < 2:
        return
    key = f"zoom-range-{starts[0].timestamp():.0f}-{ends[-1].timestamp():.0f}-{len(names)}"
    chosen = st.select_slider("Zoom to", list(names), (names[0], names[-1]), key=key)
    first, last = (names.index(one) for one in chosen)
    is_all = (first, last) == (0, len(names) - 1)
    st.button(
        "Zoom in",
        on_click=zoom_to,
        args=(starts[first], ends[last], zone),
        icon=":material/zoom_in:",
        disabled=is_all,
        key=f"{key}-go",
    )


def _filters_now() -> tuple[Any, ...]:
    preset = st.session_state.get(filters.PERIOD)
    days = tuple(st.session_state.get(one) for one in _FILTERS[1:]) if preset == filters.CUSTOM else ()
    return (preset, *days)


def _snapshot() -> dict[str, Any]:
    kept = {name: st.session_state.get(name) for name in _FILTERS}
    return kept | {name: st.query_params.get(name) for name in (FROM, TO)}


def _restore(before: dict[str, Any] | None) -> None:
    if before is None:
        _ask(None, None)
    else:
        for name in _FILTERS:
            if before[name] is not None and (name == filters.PERIOD or before[filters.PERIOD] == filters.CUSTOM):
                st.session_state[name] = before[name]
        filters.forgive()
        _ask(before[FROM], before[TO])
    sought.forget()
    st.session_state[_SEEN] = _filters_now()


def _forget() -> None:
    st.session_state[_WAY_BACK] = []
    _ask(None, None)


def _ask(start: str | None, end: str | None) -> None:
    for name, value in ((FROM, start), (TO, end)):
        if value is None:
            st.query_params.pop(name, None)
        else:
            st.query_params[name] = value


def _instant(text: str | None) -> datetime:
    if text is None:
        raise PeriodError("it needs a start and an end")
    try:
        moment = datetime.fromisoformat(text[:40])
    except ValueError:
        raise PeriodError(f"“{words.shortened(text, 40)}” is not a time such as 2026-05-07T14:00:00Z") from None
    if moment.tzinfo is None:
        raise PeriodError(f"“{words.shortened(text, 40)}” has no offset; write it as 2026-05-07T14:00:00Z")
    if not EARLIEST.year < moment.year < LATEST.year:
        raise PeriodError(f"“{words.shortened(text, 40)}” is out of range")
    return moment.astimezone(UTC)
