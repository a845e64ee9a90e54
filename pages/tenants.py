"""Tenants: who is growing, who is about to run out, who has gone quiet."""

from functools import partial

from dashboard import board, portfolio
from queries.catalog import tenants

page = board.open_board("tenants", "Tenants", "Who is growing, who is about to run out, and who has gone quiet?")
period = page.filter_row().period.with_grain("day")
wanted = portfolio.toolbar(page)
scope = page.viewer.scope
# The figures of 28 days are those up to the period's end, so that an older period shows the tenants of its time.
up_to = {"now": period.until, "zone": period.zone}

page.ask(
    {
        "totals": tenants.portfolio_totals(scope, **up_to, **wanted.matching),
        "days": tenants.portfolio_daily(scope, period=period, **wanted.matching),
        "before": tenants.portfolio_daily(scope, period=period.previous(), **wanted.matching),
        "tenants": tenants.portfolio(scope, **up_to, **wanted.matching, **wanted.page_arguments),
    }
)

page.panel("", ("totals", "days", "before"), partial(portfolio.headlines, page, wanted), height=140)
page.panel("All tenants", ("tenants", "totals"), partial(portfolio.tenant_table, page, wanted), height=960)
page.fill()
