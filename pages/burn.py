"""Credit burn: where the credits go, and how long they will last."""

from functools import partial

from dashboard import board, notes
from dashboard.burn import choices, sections, views
from queries.catalog import credits, tenants

TOP = 7

page = board.open_board("burn", "Credit burn", "Where do the credits go, and how long will they last?")
period = choices.by_grain(page)
one = choices.chosen_scope(page)
scope = one or page.viewer.scope
burn = sections.Burn(page, period, scope, is_one=one is not None)

page.ask(
    {
        "signals": tenants.signals(scope, now=period.now, zone=period.zone, search="", plans=()),
        "flows": credits.flows(scope, period=period, top=TOP),
        "compared": credits.compared(scope, period=period),
        **notes.pinned_query(scope, period),
    }
)
notes.control(page, scope)

# The figures answer both halves of the question, and stand above the choice between them.
page.panel("", ("flows", "signals", "compared"), partial(sections.figures, burn), height=170)
views.open_view(burn)
page.fill()
