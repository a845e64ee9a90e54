"""One answer on a page: title, figure or table, how old it is, and what it cost; or what went wrong, in words."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from dashboard import places, words
from dashboard.downloads import Downloads
from dashboard.fragments import fragment
from dashboard.plans.lines import plan_lines
from dashboard.services import current
from queries.aggregates import reads_aggregates
from queries.errors import (
    DatabaseRefusedError,
    DatabaseUnavailableError,
    DatabaseWakingError,
    NotFoundError,
    PeriodError,
    StatementTimeoutError,
    TooManyRowsError,
    UsageDashboardError,
)
from queries.performance.plan_tree import plan_tree
from queries.performance.plans import Plan
from queries.query import Query, Result, Timings

# What else than being away keeps a database from answering.
_AWAY: dict[type[DatabaseUnavailableError], str] = {
    DatabaseWakingError: "Waking the database.",
    DatabaseRefusedError: "The database lets nobody in.",
}

Explain = Callable[[Query], Plan]

RETRY_EVERY_S = 2.0
# A connection is there well within this; one that is not is of a database that sleeps.
WAKING_AFTER_S = 1.0
# How often the page looks whether a newer answer is there, how many looks are enough, and how many times in a row the
# page may then be drawn anew.
RENEW_EVERY_S, RENEW_LOOKS, RENEW_TIMES = 1.0, 60, 3
_RENEWED, _LOOKED = "renewed", "looked"
# An answer younger than this needs no relative age beside its time.
_YOUNG = timedelta(minutes=2)
# What is behind a badge opens as high as it will be: it finds its place on the page by that.
_BEHIND_PX = 400
_CHART = {"displayModeBar": False, "responsive": True}

_OUTCOMES = {
    "hit": "from the cache",
    "stale": "from the cache, newer figures are being computed",
    "miss": "read from the database for this page",
    "shared": "read from the database once, for everybody who asked",
}


def chart(figure: go.Figure, *, alt: str, key: str) -> None:
    """A chart to look at."""
    st.plotly_chart(figure, theme="streamlit", config=_CHART, alt=alt, key=key)


def notices() -> None:
    """What must be said about how this process was started, once, above every page; what the database lacks, at a
    click."""
    services = current()
    notes = services.mapping_notes
    for notice in services.notices:
        if notice not in notes:
            st.info(words.plain(notice), icon=":material/info:")
    if notes:
        title = f"What the figures of this database leave out, and why ({len(notes)})"
        with st.expander(title, icon=":material/info:"):
            st.markdown("\n".join(f"- {words.plain(note)}" for note in notes))


@fragment
def footer(
    results: Sequence[Result],
    zone: str,
    key: str,
    *,
    explain: Explain | None = None,
    downloads: Downloads | None = None,
) -> None:
    """How old the answers are, the rows as a file, and what they cost; at a click the rest of it: nothing of that is
    made before, for it would be a third of what a page sends."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"foot-{key}"):
        st.caption(words.plain(freshness(results, zone, datetime.now(UTC))), width="stretch")
        if downloads is not None:
            downloads.offer(results[0], key=key)
        behind = st.popover(badge(results), type="tertiary", key=f"badge-{key}", on_change="rerun")
    with behind:
        if behind.open:
            _answers(results, zone, key, explain, downloads)
        else:
            st.skeleton(_BEHIND_PX)


def _answers(
    results: Sequence[Result], zone: str, key: str, explain: Explain | None, downloads: Downloads | None
) -> None:
    """Each answer; for those who may, with the plan at a click and a link to how its question performs."""
    for number, result in enumerate(results):
        _explain(result, zone)
        if downloads is not None and number > 0:
            downloads.offer(result, key=f"{key}-{number}", label="Download these rows")
        if explain is not None:
            _offer_plan(result, explain, key=f"plan-{key}-{number}")
            if places.may_open("performance"):
                places.link("performance", "How this question performs", {"question": result.query.name})


def freshness(results: Sequence[Result], zone: str, now: datetime) -> str:
    """ "as of 14:32:05, UTC+1"; the oldest answer counts, and one past its time says so."""
    oldest = min(result.as_of for result in results)
    if any(result.outcome == "stale" for result in results):
        return f"from {words.clock(oldest, zone)}, newer figures are being computed"
    age = "" if now - oldest < _YOUNG else f" ({words.ago(oldest, now)})"
    return f"as of {words.clock(oldest, zone)}{age}"


def badge(results: Sequence[Result]) -> str:
    """4.1 ms database · 0.2 ms cache · 31 rows."""
    database_ms = sum(_database_ms(one.timings) for one in results)
    cache_ms = sum(one.timings.cache_ms for one in results)
    rows = sum(one.rows for one in results)
    parts = [f"{words.small_ms(database_ms)} database"] if database_ms else []
    parts += [f"{words.small_ms(cache_ms)} cache"] if cache_ms else []
    return " · ".join([*parts, words.counted(rows, "row")])


def failure(error: UsageDashboardError, *, key: str) -> None:
    """What happened, what still works, what to do, and the reference that is in the log."""
    happened, works = _explanations(error)
    st.error(
        f"**{happened}** {words.plain(words.sentence(error.message))} {works}\n\nReference `{error.reference}`",
        icon=":material/cloud_off:" if isinstance(error, DatabaseUnavailableError) else ":material/error:",
    )
    if isinstance(error, StatementTimeoutError | TooManyRowsError):
        st.button("Try again", key=f"again-{key}")


def heal(run_id: str) -> None:
    """Ask the database every two seconds whether it is back, and then draw the page anew without a click."""

    @st.fragment(run_every=RETRY_EVERY_S)
    def ask() -> None:
        is_page_run = st.session_state.get("healing") != run_id
        st.session_state["healing"] = run_id
        st.caption(f"Asking again every {RETRY_EVERY_S:g} seconds; this page heals by itself.")
        if not is_page_run and _database_answers():
            st.rerun()

    ask()


def waking(since_s: int) -> None:
    """The page waits for the database, and for how long already."""
    st.info(
        f"**Waking the database.** It sleeps while nobody asks, and was called {words.counted(since_s, 'second')} ago."
        " This page fills by itself.",
        icon=":material/bedtime:",
    )


def kept(error: UsageDashboardError) -> None:
    """Refresh was asked for and the database is away: the figures are those that were kept."""
    st.warning(
        f"**{_headline(error)}** {words.plain(words.sentence(error.message))} The figures are the last ones kept; each"
        f" panel says from when.\n\nReference `{error.reference}`",
        icon=":material/cloud_off:",
    )


def renew(run_id: str, stale: Sequence[Result]) -> None:
    """Draw the page anew, without a click, once the newer answers of these are there. It gives up after a minute, and
    after three times in a row: what stays old then says so until the next click."""
    times = st.session_state.pop(_RENEWED, 0)
    if not stale or times >= RENEW_TIMES:
        return

    @st.fragment(run_every=RENEW_EVERY_S)
    def look() -> None:
        looked = st.session_state.get(_LOOKED, ("", 0))
        looks = looked[1] + 1 if looked[0] == run_id else 0
        st.session_state[_LOOKED] = (run_id, looks)
        if looks == 0:
            return  # the run of the page itself
        if all(is_there(one) for one in stale) or looks >= RENEW_LOOKS:
            st.session_state[_RENEWED] = RENEW_TIMES if looks >= RENEW_LOOKS else times + 1
            st.rerun()

    look()


def is_there(result: Result) -> bool:
    """Whether the cache has a newer answer than this one."""
    entry = current().cache.local(result.query.key)
    return entry is not None and entry.computed_at > result.as_of


def no_permission(role_name: str, page_title: str) -> None:
    st.title("Not for your role")
    st.info(
        f"The page {page_title} is not open to the role {role_name}. Choose another page from the sidebar,"
        " or ask an administrator for access.",
        icon=":material/lock:",
    )


def _database_answers() -> bool:
    try:
        current().database.ping()
    except UsageDashboardError:
        return False
    return True


def _explanations(error: UsageDashboardError) -> tuple[str, str]:
    """A headline, and what still works."""
    if isinstance(error, DatabaseUnavailableError):
        return _headline(error), "Panels with a recent answer in the cache still show it."
    if isinstance(error, PeriodError):
        return "This period cannot be shown.", "The other filters keep their values."
    if isinstance(error, NotFoundError):
        return "Not found.", "Your other tenants are not affected."
    return "This panel has no answer.", "The other panels are not affected."


def _headline(error: UsageDashboardError) -> str:
    """Of a database that does not answer."""
    return next((one for kind, one in _AWAY.items() if isinstance(error, kind)), "No connection.")


def _explain(result: Result, zone: str) -> None:
    computed = result.computed
    st.markdown(f"**{words.plain(result.query.name)}** · {words.counted(result.rows, 'row')}")
    st.caption(
        words.plain(
            f"{_OUTCOMES.get(result.outcome, result.outcome)}, as of {words.clock(result.as_of, zone)}."
            f" This answer: {_spent(result.timings)}. When it was computed: {_spent(computed)}.{_summed(result, zone)}"
        )
    )
    st.code(result.sql, language=None, wrap_lines=True, height=220)
    if result.parameters:
        st.caption("Parameters")
        st.code(_parameters(result.parameters), language=None, wrap_lines=True)


def _summed(result: Result, zone: str) -> str:
    """Where the older days of an answer come from, and when these were last compared with the rows."""
    found = current().database.aggregates
    if found is None or not reads_aggregates(result.sql):
        return ""
    return (
        f" Days before {found.until:%Y-%m-%d} (UTC) come from aggregates that were compared with the rows at"
        f" {words.clock(min(found.refreshed_at, result.as_of), zone)}; a later change to one of them shows after the"
        " next comparison."
    )


def _offer_plan(result: Result, explain: Explain, *, key: str) -> None:
    """PostgreSQL's plan for these very parameters, estimated when asked for."""
    if not st.button("Show the plan", key=key, icon=":material/account_tree:"):
        return
    try:
        plan = explain(result.query)
    except UsageDashboardError as error:
        failure(error, key=key)
        return
    st.code(plan_lines(plan_tree(plan.document)), language=None, height=260)
    if plan.fingerprint is not None:
        asked = {"statement": plan.fingerprint, "call": result.query.parameters_hash}
        places.link("plan", "Open the plan", asked)


def _spent(timings: Timings) -> str:
    parts = {
        "waiting": timings.wait_ms,
        "database": timings.database_ms,
        "fetch": timings.fetch_ms,
        "frame": timings.frame_ms,
        "cache": timings.cache_ms,
    }
    return ", ".join(f"{words.small_ms(ms)} {name}" for name, ms in parts.items() if ms) or "no time to speak of"


def _database_ms(timings: Timings) -> float:
    return timings.database_ms + timings.fetch_ms


def _parameters(parameters: Any) -> str:
    text = json.dumps(dict(parameters), indent=1, default=str, ensure_ascii=False)
    return text if len(text) <= 2_000 else f"{text[:2_000]}\n… {len(text) - 2_000:,} more characters"
