"""The last minutes, drawn anew every few seconds while the page stands still."""

from __future__ import annotations

import secrets
from datetime import timedelta

import streamlit as st

from dashboard import filters, fragments, panels, words
from dashboard import viewer as viewers
from dashboard.board import Board
from dashboard.figures.timelines import last_minutes
from dashboard.services import current
from queries.catalog import timelines
from queries.errors import UsageDashboardError
from queries.period import floored
from queries.runner import Context
from queries.scope import Scope

EVERY_S, MINUTES = 10.0, 60


def show(board: Board, scope: Scope, zone: str) -> None:
    """A panel of its own that asks one small question at each tick. Only this panel is drawn anew; what it asks has a
    reader of its own, since the reader of the page's run has gone by then."""

    @fragments.fragment(run_every=EVERY_S)
    def tick() -> None:
        now = floored(filters.utc_now(), filters.LIVE_STEP_S)
        asked = timelines.live(scope, now=now, zone=zone, minutes=MINUTES)
        with st.container(border=True):
            st.header(f"The last {MINUTES} minutes, live", anchor=False)
            try:
                # Read again at each tick: a role or a tenant may have been taken away since.
                who = viewers.viewer()
                if not who.may_open(board.page):
                    return
                who = who.at(board.page)
                # Each tick is a run of its own: what it asks again and again is no repeat within the page's run.
                context = Context(who.scope, who.role, board.page, secrets.token_hex(4), viewers.fragment_reader())
                result = current().runner.run(asked, context)
            except UsageDashboardError as error:
                panels.failure(error, key="live-failure")
                return
            # An answer for the minute before may stand in; its own minutes are drawn.
            known = words.utc(result.frame["bucket_start"].iloc[-1])
            now = now if known is None else known + timedelta(minutes=1)
            period = timelines.last_minutes(now=now, zone=zone, minutes=MINUTES)
            total, failed = (int(result.frame[one].sum()) for one in ("generations", "failed"))
            figure = last_minutes(result.frame, period)
            figure.update_layout(height=180)
            panels.chart(
                figure,
                alt=f"Bars: generations of each of the last {MINUTES} minutes by outcome, {words.exact(total)} in all",
                key="live-chart",
            )
            st.caption(
                words.plain(
                    f"{words.counted(total, 'generation')}, {words.exact(failed)} failed, up to"
                    f" {words.clock(now, zone)}. Asked every {EVERY_S:g} seconds."
                )
            )
            panels.footer([result], zone, "live-chart")

    tick()
