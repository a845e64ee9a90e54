"""Tenant: what one account does with its credits, and how long they will last."""

from dashboard import account, board
from dashboard.account import compare, credits, gallery, movements, overview, people, quality, quotas

page = board.open_board("tenant", "Tenant", "What does this account do with its credits, and how long will they last?")
page.filter_row()
scope = account.chosen_tenant(page)
account.another(page)

# A view asks its questions only while it is open.
account.open_view(
    page,
    scope,
    {
        "Overview": overview.view,
        "Credits": credits.view,
        "Users": people.view,
        "Quotas": quotas.view,
        "Quality": quality.view,
        "Generations": gallery.view,
        "Ledger": movements.view,
        "Compare": compare.view,
    },
)
page.fill()
