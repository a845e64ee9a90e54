"""What the person has chosen: which time, page and question, in which order, against which release, and whose
statements. All of it is in the URL, and nothing of it is trusted."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import streamlit as st

import queries.catalog  # noqa: F401 - makes the questions known
from dashboard import address, filters, listing, places
from dashboard.board import Board
from dashboard.services import current
from queries.errors import PeriodError
from queries.performance.log_reading import Sort, Window, source_of
from queries.performance.monitor import utc_now
from queries.performance.server_statements import By
from queries.period import zone_info
from queries.query import CATALOG

WINDOW, SINCE, UNTIL, ON_PAGE, QUESTION, RANK, WHOSE = (
    "window",
    "since",
    "until",
    "on",
    "question",
    "rank",
    "statements",
)
RELEASE, RUN, PAGER, SLOW_PAGER = "baseline", "run", "questions_page", "slow_page"
WINDOWS = {
    "Last hour": timedelta(hours=1),
    "Last 6 hours": timedelta(hours=6),
    "Last 24 hours": timedelta(hours=24),
    "Last 7 days": timedelta(days=7),
    "Last 30 days": timedelta(days=30),
}
DEFAULT_WINDOW, CUSTOM = "Last 24 hours", "From, to"
EVERY_PAGE, EVERY_QUESTION = "All pages", "All questions"
# An order of ours, and what comes nearest to it among what the server counts of the application's.
RANKS: dict[str, tuple[Sort, By]] = {
    "Total time": ("total", "total_time"),
    "p95": ("p95", "mean_time"),
    "Calls": ("calls", "calls"),
    "Rows": ("rows", "rows"),
    "Slower than before": ("regressions", "total_time"),
    "Temporary files": ("total", "temp"),
}
OURS, THEIRS, BOTH = "Ours", "The application's", "Both"
# Questions of no page: the viewer's tenants, which are read before any page, and the digest.
_OTHERS = ("viewer", "digest")
_LONGEST = timedelta(days=3650)
_TIME_FORMS = ("%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y/%m/%d, %H:%M")
_IS_RUN = re.compile(r"[0-9a-zA-Z_.-]{1,40}")


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the page is about. `span` is the chosen time in words."""

    board: Board
    window: Window
    zone: str
    span: str
    rank: str
    whose: str
    release: str | None
    run_id: str | None

    @property
    def sort(self) -> Sort:
        return RANKS[self.rank][0]

    @property
    def server_sort(self) -> By:
        return RANKS[self.rank][1]

    @property
    def is_filtered(self) -> bool:
        return self.window.page is not None or self.window.query is not None

    @property
    def everything(self) -> Window:
        """The same time without the filters for page and question."""
        return replace(self.window, page=None, query=None)


def chosen(board: Board) -> Chosen:
    """Everything that is chosen, from the bar and the URL. The run ends where the time makes no sense."""
    pages = [EVERY_PAGE, *(one.name for one in places.PLACES), *_OTHERS]
    questions = [EVERY_QUESTION, *sorted(CATALOG)]
    default_zone = current().settings.reporting_zone
    wrong = address.complaints(_checks(pages, questions))
    with board.bar:
        window = st.selectbox("Time", [*WINDOWS, CUSTOM], index=2, **_kept(WINDOW), width=140)
        zone = st.selectbox("Time zone", filters.zones(default_zone), **_kept(filters.ZONE), width=150)
        start, end = _custom(zone) if window == CUSTOM else _last(WINDOWS[window])
        page = st.selectbox("Page", pages, **_bound(ON_PAGE), format_func=page_name, width=150)
        question = st.selectbox("Question", questions, **_bound(QUESTION), width=210)
        st.button("Refresh", icon=":material/refresh:", help="Read what was recorded since.")
    address.show(wrong)
    if start is None or end is None or not start < end:
        st.info("The time needs a start and, after it, an end; choose From and To.", icon=":material/calendar_clock:")
        st.button("Show the last 24 hours", on_click=_choose_default, type="primary")
        st.stop()
    asked = Window(
        start,
        end,
        page=None if page == EVERY_PAGE else page,
        query=None if question == EVERY_QUESTION else question,
        source=source_of(current().database),
    )
    span = "in this time" if window == CUSTOM else f"in the {window.lower()}"
    return Chosen(board, asked, zone, span, *_listed(), _run())


def page_name(name: str) -> str:
    """The page's title; what asks without a page by its own name."""
    known = {one.name: one.title for one in places.PLACES} | {"viewer": "Sign-in (viewer)", "digest": "Digest"}
    return known.get(name, name)


def list_bar() -> None:
    """The row above the list: in which order, and whose statements."""
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        st.selectbox("Sort by", list(RANKS), **_bound(RANK), width=170)
        st.segmented_control("Statements", [OURS, THEIRS, BOTH], default=OURS, required=True, **_bound(WHOSE))


def only(name: str) -> None:
    """Look at this question alone. A callback."""
    st.session_state[QUESTION] = name
    _changed(QUESTION)


def everything() -> None:
    """Look at all pages and questions. A callback."""
    st.session_state[QUESTION], st.session_state[ON_PAGE] = EVERY_QUESTION, EVERY_PAGE
    _changed(QUESTION)
    _changed(ON_PAGE)


def open_run(run_id: str) -> None:
    """Show this page run. A callback."""
    st.query_params[RUN] = run_id


def compare_with(release: str | None) -> None:
    """Compare with this baseline, or with none. A callback."""
    if release is None:
        st.query_params.pop(RELEASE, None)
    else:
        st.query_params[RELEASE] = release
    listing.first_page(PAGER)


def _listed() -> tuple[str, str, str | None]:
    rank = st.session_state.get(RANK) or st.query_params.get(RANK)
    whose = st.session_state.get(WHOSE) or st.query_params.get(WHOSE) or OURS
    release = st.query_params.get(RELEASE) or None
    kept = release[:60].replace("\x00", "") if release else None
    return rank if rank in RANKS else next(iter(RANKS)), whose if whose in (OURS, THEIRS, BOTH) else OURS, kept


def _run() -> str | None:
    asked = st.query_params.get(RUN)
    return asked if asked and _IS_RUN.fullmatch(asked) else None


def _last(length: timedelta) -> tuple[datetime | None, datetime | None]:
    now = utc_now()
    return now - length, now


def _custom(zone: str) -> tuple[datetime | None, datetime | None]:
    """Two times of the zone; at first those of the last 24 hours."""
    now = utc_now().astimezone(zone_info(zone)).replace(tzinfo=None, second=0, microsecond=0)
    for name, at in ((SINCE, now - timedelta(days=1)), (UNTIL, now + timedelta(minutes=1))):
        if name not in st.session_state and not _is_time(st.query_params.get(name, "")):
            st.session_state[name] = at
    return _time("From", SINCE, zone, now), _time("To", UNTIL, zone, now)


def _time(label: str, key: str, zone: str, now: datetime) -> datetime | None:
    given = st.datetime_input(
        label,
        None,
        min_value=now - _LONGEST,
        max_value=now + timedelta(days=2),
        format="YYYY-MM-DD",
        step=60,
        key=key,
        bind="query-params",
        persist_state="session",
        on_change=address.forgive,
        args=(key,),
        width=190,
    )
    return given.replace(tzinfo=ZoneInfo(zone)) if given is not None else None


def _choose_default() -> None:
    st.session_state[WINDOW] = DEFAULT_WINDOW
    address.forgive(WINDOW, SINCE, UNTIL)


def _bound(key: str) -> dict[str, Any]:
    return {"key": key, "bind": "query-params", "on_change": _changed, "args": (key,)}


def _kept(key: str) -> dict[str, Any]:
    return {**_bound(key), "persist_state": "session"}


def _changed(name: str) -> None:
    address.forgive(name)
    listing.first_page(PAGER)
    listing.first_page(SLOW_PAGER)


def _checks(pages: Sequence[str], questions: Sequence[str]) -> dict[str, address.Check]:
    return {
        WINDOW: address.one_of("time", [*WINDOWS, CUSTOM], f"the {DEFAULT_WINDOW.lower()} are shown"),
        filters.ZONE: _zone_check,
        SINCE: _time_check,
        UNTIL: _time_check,
        ON_PAGE: address.one_of("page", [page_name(one) for one in pages], "all pages are shown"),
        QUESTION: address.one_of("question", questions, "all questions are shown"),
        RANK: address.one_of("order", list(RANKS), "the list goes by total time"),
        WHOSE: address.one_of("choice of statements", [OURS, THEIRS, BOTH], "ours are shown"),
        RUN: _run_check,
        PAGER: listing.page_check,
        SLOW_PAGER: listing.page_check,
    }


def _zone_check(asked: Sequence[str]) -> str:
    try:
        zone_info(asked[-1])
    except PeriodError:
        return f"The link's time zone is not known; {current().settings.reporting_zone} is shown."
    return ""


def _time_check(asked: Sequence[str]) -> str:
    is_time = _is_time(asked[-1])
    return "" if is_time else "The link's time is not one such as 2026-05-07T14:00; the last 24 hours are proposed."


def _is_time(text: str) -> bool:
    for form in _TIME_FORMS:
        try:
            datetime.strptime(text, form)  # noqa: DTZ007 - the zone is another parameter of the link
        except ValueError:
            continue
        return True
    return False


def _run_check(asked: Sequence[str]) -> str:
    return "" if _IS_RUN.fullmatch(asked[-1]) else "The link's page run is not known; the newest is shown."
