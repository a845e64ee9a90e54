"""The panels of the Credit burn page."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache

import pandas as pd
import streamlit as st

from dashboard import address, headline, listing, notes, palette, panels, places, words
from dashboard.board import Board
from dashboard.burn import choices, forecast, headlines, sentences
from dashboard.burn.forecast import AS_IT_IS, Forecast, WhatIf
from dashboard.figures.burn_down import Ahead, Past, burn_down
from dashboard.figures.movements import KINDS, burn_by_tenant, in_and_out, summed_by_bucket
from dashboard.insights import backtest as backtests
from dashboard.insights.backtest import Backtest
from dashboard.tables import cells
from dashboard.tables import runways as runway_tables
from dashboard.tabs import TAB
from queries.catalog import credits
from queries.errors import UsageDashboardError
from queries.period import Period, local_date, zone_info
from queries.query import Query, Result
from queries.scope import Scope

# How far back a balance is drawn, and how much of the past the forecast is tried on.
PAST_DAYS, HISTORY_DAYS = 60, 180
_FOCUS_PICK, _CHOICES = "burn_focus_pick", 500
_KINDS = {"at_risk": "At risk", "upsell": "Upsell"}


@dataclass(slots=True)
class Burn:
    """One run of the page: what it is about, and what its panels share."""

    board: Board
    period: Period
    scope: Scope
    is_one: bool
    what_if: WhatIf = AS_IT_IS
    shows_forecast: bool = False

    @property
    def history_period(self) -> Period:
        return Period.last_days(HISTORY_DAYS, zone=self.period.zone, now=self.period.now, grain="day")

    @property
    def today(self) -> date:
        return local_date(self.period.now, self.period.zone)

    def forecasts(self, signals: Result, what_if: WhatIf | None = None) -> list[Forecast]:
        """All tenants, the one that runs out first in front; with the page's what-if unless another is given."""
        chosen = self.what_if if what_if is None else what_if
        return forecast.of_tenants(signals, self.period.now, self.period.zone, chosen)

    def focused(self, signals: Result) -> tuple[Forecast | None, str]:
        """The tenant whose burn-down is shown, and what is wrong with the one that the URL has."""
        found = self.forecasts(signals)
        if not found:
            return None, ""
        asked, wrong = choices.focus([one.tenant_id for one in found]) if not self.is_one else (None, "")
        first = next((one for one in self.forecasts(signals, AS_IT_IS) if one.as_it_is.state == "runs_out"), found[0])
        wanted = asked or first.tenant_id
        return next(one for one in found if one.tenant_id == wanted), wrong

    def history(self) -> Query:
        """The credits by day of the tenant whose burn-down is shown; who that is, `signals` has to tell."""
        try:
            one, _ = self.focused(self.board.answer("signals"))
        except UsageDashboardError:
            one = None  # the panels say why
        of_one = Scope.of([one.tenant_id] if one is not None else [])
        return credits.flows(of_one, period=self.history_period, top=1)


def figures(burn: Burn, flows: Result, signals: Result, compared: Result) -> None:
    """The five figures."""
    sums, row = summed_by_bucket(flows.frame), words.first_row(compared.frame)
    found = burn.forecasts(signals, AS_IT_IS)
    tenant_id = burn.scope.ordered_ids[0] if burn.is_one else None
    there = None if burn.shows_forecast else st.query_params.to_dict() | {TAB: choices.HOW_LONG}
    headline.show(headlines.figures(sums, row, found, burn.period, tenant_id, forecast=there))


def burned(burn: Burn, flows: Result) -> None:
    """Net burn per bucket, by tenant."""
    frame = flows.frame
    if not frame["burned"].any() and not frame["refunded"].any():
        st.info(f"No credits were charged or refunded from {words.span(burn.period)}. Choose another period.")
        return
    total = words.exact(sum(frame["net_burn_credits"].tolist()))
    alt = f"Bars: net credits burned by tenant, {words.span(burn.period)}, {total} in all"
    figure = burn_by_tenant(frame, burn.period, known=palette.of_series("tenant", frame))
    panels.chart(notes.marked(figure, burn.board, burn.period, named=not burn.is_one), alt=alt, key="burned")


def moved(burn: Burn, flows: Result, signals: Result) -> None:
    """Credits in and out, and the balance at the end of each bucket."""
    sums = summed_by_bucket(flows.frame)
    panels.chart(
        in_and_out(flows.frame, burn.period),
        alt=f"Bars: credits in and out, {words.span(burn.period)}; line: the balance at the end of each",
        key="moved",
    )
    balances = [words.known(one) for one in signals.frame["credits_left"]]
    st.caption(words.plain(sentences.about_balance(balances, sums)))


def down(burn: Burn, history: Result, signals: Result) -> None:
    """One tenant's balance, where it came from and when it may run out."""
    one, wrong = burn.focused(signals)
    if one is None:
        st.info("There are no tenants yet. They appear here as soon as the application has some.")
        return
    if wrong:
        st.info(wrong, icon=":material/link_off:")
    if not burn.is_one:
        _focus_control(burn.forecasts(signals), one)
    zone, now = burn.period.zone, burn.period.now
    before = past(history.frame, zone)
    said = sentences.runs_out(one, burn.today, burn.what_if)
    st.markdown(words.plain(said))
    for flag in one.flags:
        st.caption(words.plain(f"{_KINDS[flag.kind]}: {flag.sentence}"))
    renews = words.utc(one.row["renews_at"])
    figure = burn_down(
        before,
        _ahead(burn, one),
        _local(now, zone),
        renews_at=_local(renews, zone) if renews is not None else None,
        grants=forecast.grants_of(one.row, now, zone).tolist(),
        zone=zone,
    )
    alt = f"Line: the balance of {words.shortened(one.tenant, 60)} of the last {PAST_DAYS} days. {said}"
    panels.chart(figure, alt=alt, key="down")
    st.caption(words.plain(sentences.about_fan(one, now, zone)))


def table(burn: Burn, signals: Result) -> None:
    """One page of tenants by runway; a click shows that one's burn-down."""
    found, page = burn.forecasts(signals), listing.page_number(choices.RUNWAY_PAGE)
    if not found:
        st.info("There are no tenants yet. They appear here as soon as the application has some.")
        return
    address.show(address.complaints({choices.RUNWAY_PAGE: listing.page_check}))
    if page > cells.pages(len(found)):
        st.info(f"There is no page {page:,}: the list has {words.counted(cells.pages(len(found)), 'page')}.")
    shown = found[(page - 1) * cells.PAGE_ROWS :][: cells.PAGE_ROWS]
    said = sentences.what_if(burn.what_if, burn.is_one)
    st.caption(
        words.plain(f"{said}; beside it the runway as it is." if said else "Click a row for its burn-down above.")
    )
    if shown:
        runway_tables.runway_list(
            shown,
            burn.today,
            burn.period.zone,
            is_what_if=burn.what_if.is_asked,
            key=f"runways-{page}-{burn.what_if.is_asked}",
            choose=choices.set_focus,
        )
    listing.pager(len(found), "tenant", choices.RUNWAY_PAGE)


def trust(burn: Burn, history: Result, signals: Result) -> None:
    """How good the forecast has been on the tenant's own past."""
    one, _ = burn.focused(signals)
    if one is None:
        st.info("There is no tenant to try the forecast on.")
        return
    st.caption(words.plain(f"Tried on the past of {words.shortened(one.tenant, 60)}, up to {HISTORY_DAYS} days"))
    found = tried(lived(history.frame, burn.history_period))
    if found.coverage is None:
        st.info(words.plain(backtests.sentence(found)), icon=":material/hourglass_empty:")
        return
    st.markdown(words.plain(backtests.sentence(found)))
    runway_tables.backtest_table(found)


@lru_cache(maxsize=256)
def tried(series: tuple[float, ...]) -> Backtest:
    """The backtest of one series; 50 ms, and every rerun asks for the same."""
    return backtests.backtest(series)


def _ahead(burn: Burn, one: Forecast) -> Ahead:
    fan = forecast.fan(one, burn.period.now, burn.period.zone, burn.what_if)
    plain = forecast.fan(one, burn.period.now, burn.period.zone, AS_IT_IS) if burn.what_if.is_asked else None
    return Ahead(fan.p10, fan.p50, fan.p90, fan.runway, plain.p50 if plain is not None and len(plain.p50) else None)


def past(frame: pd.DataFrame, zone: str) -> Past:
    """The last 60 days and today, from the day on which the tenant's credits began."""
    moved = frame[list(KINDS)].any(axis=1) | (frame["balance_credits"] != 0).fillna(False)
    began = int(moved.argmax()) if moved.any() else 0
    shown = frame.iloc[max(began, len(frame) - PAST_DAYS - 1) :]
    days = tuple(local_date(one.to_pydatetime(), zone) for one in shown["bucket_start"])
    return Past(days, tuple(words.known(one) for one in shown["balance_credits"]))


def lived(frame: pd.DataFrame, period: Period) -> tuple[float, ...]:
    """Net burn by complete day, from the first day on which anything was charged."""
    complete = frame[[not one.in_progress for one in period.buckets()]]
    net, gross = ([float(one) for one in complete[name].tolist()] for name in ("net_burn_credits", "burned"))
    return tuple(net[next((place for place, one in enumerate(gross) if one), len(net)) :])


def _focus_control(found: list[Forecast], one: Forecast) -> None:
    """Another tenant's burn-down; the first 500 by runway where there are more."""
    names = {each.tenant_id: each.tenant for each in [*found[:_CHOICES], one]}
    st.session_state[_FOCUS_PICK] = one.tenant_id
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        st.selectbox(
            "Burn-down of",
            list(names),
            format_func=lambda each: words.shortened(names.get(each, each), 60),
            key=_FOCUS_PICK,
            on_change=_focus_picked,
            width=260,
        )
        places.link("tenant", "Its page", {"tenant": one.tenant_id})
        st.button(
            "Only this tenant",
            key="burn_alone",
            type="tertiary",
            icon=":material/filter_alt:",
            on_click=choices.open_tenant,
            args=(one.tenant_id,),
            help="The whole page for this tenant",
        )


def _focus_picked() -> None:
    choices.set_focus(st.session_state[_FOCUS_PICK])


def _local(instant: datetime, zone: str) -> datetime:
    return instant.astimezone(zone_info(zone)).replace(tzinfo=None)
