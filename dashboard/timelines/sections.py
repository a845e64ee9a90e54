"""The questions of the page, and the panels around the main chart."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import streamlit as st

from dashboard import headline, listing, notes, panels, places, viewer, words
from dashboard.account import sought
from dashboard.account.sought import GENERATIONS_PAGE
from dashboard.board import Board, offer_newest
from dashboard.figures.heatmaps import heatmap
from dashboard.headline import Action, Headline, Source
from dashboard.insights import before, hours
from dashboard.tables import timelines as tables
from dashboard.tables import usage as usage_tables
from dashboard.tables.cells import PAGE_ROWS
from dashboard.timelines import chart, zoom
from dashboard.timelines.choices import MEASURE, OF_TENANT, Chosen, unselect
from dashboard.timelines.counts import Counts
from dashboard.words import first_row
from queries.catalog import generations, latency, timelines, usage
from queries.errors import NotFoundError
from queries.query import Query, Result
from queries.scope import Scope

TOP, TOP_ERRORS = 7, 6
_UNUSUAL_SHOWN = 6
MAIN, LATENCY = ("series", "usual"), ("latency", "latency before")


def questions(chosen: Chosen) -> dict[str, Query]:
    """As many for every scope, period and split: five, two more for latency, one more where a bar is selected."""
    scope, period = chosen.scope, chosen.period
    split = chosen.split if chosen.measure != "latency" else "none"
    asked = {
        "series": usage.over_time(scope, period=period, split=split, top=TOP),
        "usual": usage.over_time(scope, period=before.usual(period), split="none"),
        "took": timelines.latency(scope, period=period),
        "errors": timelines.failures(scope, period=period, top=TOP_ERRORS),
        # By any grain it is the same question.
        "hours": timelines.hours(scope, period=hours.complete_hours(period).with_grain("month")),
    }
    if chosen.measure == "latency":
        asked["latency"] = (
            latency.over_time(scope, period=period)
            if chosen.split == "none"
            else timelines.latency_by_series(scope, period=period, split=chosen.split, top=TOP)
        )
        asked["latency before"] = latency.over_time(scope, period=before.before(period))
    if (behind := scope_behind(chosen)) is not None:
        offset = (listing.page_number(GENERATIONS_PAGE) - 1) * PAGE_ROWS
        asked["behind"] = generations.latest(behind, **chosen.sought.arguments, offset=offset, limit=PAGE_ROWS)
    return asked


def scope_behind(chosen: Chosen) -> Scope | None:
    """Whose generations the selection is of; none without a selection, or when they are not the viewer's."""
    of_tenant = st.query_params.get(OF_TENANT)
    if not chosen.sought.chips and not of_tenant:
        return None
    try:
        return chosen.scope.narrowed([of_tenant]) if of_tenant else chosen.scope
    except NotFoundError:
        return None


def draw(board: Board, chosen: Chosen) -> None:
    """The panels, in order of importance."""
    asked = questions(chosen)
    board.ask({**asked, **notes.pinned_query(chosen.scope, chosen.period)})
    notes.control(board, chosen.scope)
    board.panel("", (*MAIN, "took"), partial(headlines, chosen), height=140)
    names = MAIN + LATENCY if chosen.measure == "latency" else MAIN
    board.panel(chart.title(chosen), names, partial(main, chosen), height=390)
    if "behind" in asked:
        board.panel("Generations behind the selection", ("behind",), partial(behind, chosen), height=420)
    elif chosen.sought.wrong or st.query_params.get(OF_TENANT):
        _nothing_selected(chosen)
    left, right = st.columns(2)
    board.panel("Failures by error", ("errors",), partial(failures, chosen), height=260, place=left)
    board.panel("Generations by hour and weekday", ("hours",), partial(by_hour, chosen), height=260, place=right)
    board.panel("What stands out", MAIN, partial(stands_out, chosen), height=120)


def headlines(chosen: Chosen, series: Result, usual: Result, took: Result) -> None:
    """The five figures; above them the empty state."""
    counts = Counts(chosen.period, series, usual)
    if not counts.totals["generations"]:
        _offer_another(chosen)
    headline.show(_headlines(chosen, counts, took))


def main(chosen: Chosen, series: Result, usual: Result, *took: Result) -> None:
    chart.draw(chosen, series, usual, *took)


def failures(chosen: Chosen, result: Result) -> None:
    """Which errors, how often, and when."""
    if result.frame.empty:
        st.info("Nothing failed in this period.", icon=":material/check_circle:")
        return
    tables.errors(result.frame, key=f"errors-{chosen.view_key}")


def by_hour(chosen: Chosen, result: Result) -> None:
    """The mean of each hour of the week over those that the period has."""
    period = hours.complete_hours(chosen.period).with_grain("month")
    there_were = hours.hours_there_were(period)
    if not there_were:
        st.info("No hour of this period is over yet; come back at the next full hour.")
        return
    frame = result.frame
    cells = list(zip(frame["weekday"].tolist(), frame["hour"].tolist(), strict=True))
    counts = dict(zip(cells, frame["generations"].tolist(), strict=True))
    failed = dict(zip(cells, frame["failed"].tolist(), strict=True))
    values = hours.mean_per_hour(counts, there_were)
    hovers = [
        [
            f"{name} {hour:02d}:00 to {(hour + 1) % 24:02d}:00: {words.amount(round(value, 1))} generations an hour"
            f"<br>{words.exact(counts.get((weekday, hour), 0))} in {there_were[weekday, hour]:g} such hours,"
            f" {words.exact(failed.get((weekday, hour), 0))} failed"
            if value is not None
            else ""
            for hour, value in enumerate(row)
        ]
        for weekday, (name, row) in enumerate(zip(hours.WEEKDAYS, values, strict=True), start=1)
    ]
    names = [f"{hour:02d}:00" for hour in range(hours.HOURS)]
    figure = heatmap(hours.WEEKDAYS, names, values, hovers, title=f"Hour of the day in {chosen.period.zone}", ticks=8)
    panels.chart(figure, alt=_hours_in_words(values), key=f"hours-{chosen.view_key}")
    st.caption("Mean per hour of that weekday, so that five Mondays count no more than four Tuesdays.")


def stands_out(chosen: Chosen, series: Result, usual: Result) -> None:
    """The marked buckets, newest first, each with its reason."""
    grain = chosen.period.grain
    if grain in ("minute", "month"):
        st.caption(f"By {grain} there is too little to compare with. Choose hours, days or weeks.")
        return
    found = Counts(chosen.period, series, usual).unusual(chosen.measure)
    if not found:
        like = {"hour": "the same hour and weekday", "day": "the same weekday", "week": "other weeks"}[grain]
        st.caption(f"No {grain} differs from {like} of the weeks before by more than chance and a quarter.")
        return
    for one in found[:_UNUSUAL_SHOWN]:
        st.markdown(f":material/diamond: {words.plain(one.sentence)}")
    if len(found) > _UNUSUAL_SHOWN:
        st.caption(f"And {words.counted(len(found) - _UNUSUAL_SHOWN, 'older one')}, marked in the chart.")


def behind(chosen: Chosen, result: Result) -> None:
    """The generations that were clicked."""
    board, page = chosen.board, listing.page_number(GENERATIONS_PAGE)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        sought.chips(chosen.sought)
        _tenant_chip(result)
        st.button("Clear the selection", on_click=unselect, type="tertiary")
        if (tenant_id := _one_tenant(chosen)) is not None:
            parameters = {name: st.query_params[name] for name in sought.NAMES if name in st.query_params}
            places.link("tenant", "Open on the Tenant page", {"tenant": tenant_id, "tab": "Generations", **parameters})
    if result.frame.empty:
        st.info("No generations here." if page == 1 else f"There is no page {page:,} of these generations.")
        if page > 1:
            st.button("Show the first page", on_click=listing.first_page, args=(GENERATIONS_PAGE,))
        return
    usage_tables.generations(
        result.frame,
        may_read_prompts=board.viewer.reads_prompts_of(result.query.scope),
        hidden=viewer.hidden_prompts(),
        zone=board.zone,
        key=f"behind-{page}",
        with_tenant=not chosen.is_one,
    )
    listing.pager(int(result.frame["total_rows"].iloc[0]), "generation", GENERATIONS_PAGE)


def _headlines(chosen: Chosen, counts: Counts, took: Result) -> list[Headline]:
    now, (compared, then), against = counts.totals, counts.compared, counts.against
    over, row = counts.frame, first_row(took.frame)
    unusual = len(counts.unusual(chosen.measure))
    reason = words.latency_reason("p95", row["latency_rows"])
    rate = headline.success(now, compared, then, against, over)
    return [
        Headline(
            "Generations",
            words.amount(now["generations"]),
            f"{words.counted(now['generations'], 'generation')}, {words.exact(now['cancelled'])} cancelled,"
            f" {words.exact(now['unfinished'])} unfinished",
            words.change(compared["generations"], then["generations"]),
            against,
            spark=over["generations"].tolist(),
            source=_source(chosen, "tenants", "Tenants by generations", "Generations", sort="Generations"),
        ),
        Headline(
            "Credits charged",
            words.amount(now["burned_credits"]),
            "Gross, by generations, at the time of the request; what was refunded is on the page Credit burn",
            words.change(compared["burned_credits"], then["burned_credits"]),
            against,
            spark=over["burned_credits"].tolist(),
            source=_source(chosen, "burn", "Credit burn", ""),
        ),
        replace(rate, source=_source(chosen, "tenants", "Tenants by success", "Quality", sort="Success rate")),
        Headline(
            "Latency p95",
            words.duration(None if reason else row["p95_ms"]),
            reason or f"From {words.exact(row['latency_rows'])} successful generations of this period",
            note="" if reason else f"p50 {words.duration(row['p50_ms'])}",
            action=Action("Latency over time", "Show latency in the chart below", partial(_show, "Latency")),
        ),
        Headline(
            "Failures",
            words.amount(now["failed"]),
            f"{words.counted(now['failed'], 'generation')} failed; {words.counted(unusual, chosen.period.grain)} of the"
            " period stand out, see below",
            words.change(compared["failed"], then["failed"]),
            against,
            good="down",
            spark=over["failed"].tolist(),
            action=Action(
                "Success over time", "Show the success rate in the chart below", partial(_show, "Success rate")
            ),
        ),
    ]


def _source(chosen: Chosen, page: str, label: str, view: str, **parameters: str) -> Source:
    """Where a figure comes from: a view of the one tenant, else the page of all."""
    if not chosen.is_one:
        return Source(page, label, parameters)
    tenant = {"tenant": chosen.scope.ordered_ids[0]}
    return Source("tenant", f"See {view.lower()}", {**tenant, "tab": view}) if view else Source(page, label, tenant)


def _show(measure: str) -> None:
    """A callback."""
    st.session_state[MEASURE] = measure


def _offer_another(chosen: Chosen) -> None:
    """The empty state."""
    if not zoom.is_zoomed():
        offer_newest(chosen.board, chosen.scope, chosen.subject)
        return
    period = chosen.period
    when = words.plain(zoom.times(period.start, period.end, period.zone))
    st.info(f"No generations from {when}. Zoom out to see the rest.", icon=":material/hourglass_empty:")
    st.button("Zoom out", on_click=zoom.out, type="primary", key="zoom-out-of-nothing")


def _nothing_selected(chosen: Chosen) -> None:
    wrong = chosen.sought.wrong or "The link's selection is of a tenant that is not there, or is not one of yours."
    st.info(words.plain(wrong), icon=":material/link_off:")
    st.button("Clear the selection", on_click=unselect, key="clear-wrong-selection")


def _one_tenant(chosen: Chosen) -> str | None:
    return chosen.scope.ordered_ids[0] if chosen.is_one else st.query_params.get(OF_TENANT)


def _tenant_chip(result: Result) -> None:
    if st.query_params.get(OF_TENANT) and not result.frame.empty:
        name = words.known(result.frame["tenant"].iloc[0])
        st.caption(words.plain(f"Tenant: {words.shortened(name, 40)}" if name else "One tenant"), width="content")


def _hours_in_words(values: list[list[float | None]]) -> str:
    found = [
        (value, name, hour)
        for name, row in zip(hours.WEEKDAYS, values, strict=True)
        for hour, value in enumerate(row)
        if value is not None
    ]
    value, name, hour = max(found)
    return (
        f"Heatmap: mean generations per hour by weekday and hour of the day; the most on {name} at {hour:02d}:00 with"
        f" {words.amount(round(value, 1))} an hour"
    )
