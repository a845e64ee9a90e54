"""Tenant: what one account does with its credits, and how long they will last."""

from functools import partial

import streamlit as st

from dashboard import account, board, listing
from dashboard.tables.cells import PAGE_ROWS
from dashboard.tables.usage import BREAKDOWN_ROWS
from queries.catalog import credits, generations, tenants, usage

page = board.open_board("tenant", "Tenant", "What does this account do with its credits, and how long will they last?")
period = page.filter_row().period
scope = account.chosen_tenant(page)
split = account.choices(page, scope)
before, days = period.previous().with_grain(period.grain), period.with_grain("day")
offset = (listing.page_number(account.GENERATIONS_PAGE) - 1) * PAGE_ROWS

page.ask(
    {
        "now": usage.totals(scope, period=period),
        "days": usage.daily(scope, period=days),
        "usage": usage.over_time(scope, period=period, split=split),
        "usage before": usage.over_time(scope, period=before, split="none"),
        "header": tenants.header(scope, now=period.now),
        "burn": credits.burn_over_time(scope, period=days),
        "users": usage.breakdown(scope, period=period, split="user", top=BREAKDOWN_ROWS),
        "models": usage.breakdown(scope, period=period, split="model", top=BREAKDOWN_ROWS),
        "latest": generations.latest(scope, period=period, offset=offset, limit=PAGE_ROWS),
    }
)

page.panel("", ("now", "days", "burn"), partial(account.headlines, page, scope), height=140)
page.panel("Generations", ("usage", "usage before"), partial(account.usage, period, split), height=300)
left, right = st.columns(2)
page.panel("Credits burned per day", ("burn",), partial(account.burn, days), height=300, place=left)
page.panel("Credits left", ("header", "burn"), partial(account.credits_left, days), height=300, place=right)
left, right = st.columns(2)
page.panel("By user", ("users",), partial(account.breakdown, "User", False), height=390, place=left)
page.panel("By model", ("models",), partial(account.breakdown, "Model", False), height=390, place=right)
page.panel("Latest generations", ("latest",), partial(account.generations, page), height=960)
page.fill()
