"""Credit burn: where the credits go, and how long they will last."""

from functools import partial

import streamlit as st

from dashboard import board, notes
from dashboard.burn import choices, sections
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

page.panel("", ("flows", "signals", "compared"), partial(sections.figures, burn), height=170)
page.panel(f"Credits burned per {period.grain}", ("flows",), partial(sections.burned, burn), height=300)
burn.what_if = choices.what_if(burn.is_one)
left, right = st.columns([3, 2])
page.panel("Burn-down", ("history", "signals"), partial(sections.down, burn), height=470, place=left)
page.panel("How good is this forecast?", ("history", "signals"), partial(sections.trust, burn), height=470, place=right)
page.panel(f"Credits in and out per {period.grain}", ("flows", "signals"), partial(sections.moved, burn), height=430)
if not burn.is_one:
    page.panel("Tenants by runway", ("signals",), partial(sections.table, burn), height=960)
page.ask_after("signals", "history", burn.history)
page.fill()
