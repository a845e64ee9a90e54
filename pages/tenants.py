"""Tenants: who is growing, who is about to run out, who has gone quiet, and whom to call first."""

from functools import partial

import streamlit as st

from dashboard import board
from dashboard.portfolio import calls, headlines, movers, stays, table, views, wanted

page = board.open_board(
    "tenants", "Tenants", "Whom should I call first? Figures are of 28 complete days up to the period's end."
)
above, list_bar = st.container(), st.container(horizontal=True, gap="small")
portfolio = wanted.open_portfolio(page, list_bar)
with page.bar:
    views.popover()

portfolio.ask()

with above:
    page.panel("", ("signals",), partial(headlines.headlines, portfolio), height=150)
    page.panel("Call first", ("signals",), partial(calls.first_calls, portfolio), height=330)
page.panel("All tenants", ("signals", "page"), partial(table.tenant_table, portfolio), height=960)
left, right = st.columns(2)
page.panel("Burn rose the most", ("signals",), partial(movers.up, portfolio), height=240, place=left)
page.panel("Burn fell the most", ("signals",), partial(movers.down, portfolio), height=240, place=right)
stays.section(portfolio)
page.fill()
