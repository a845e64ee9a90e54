"""Statements: what each tenant opened, got, burned and closed with, and whether it adds up."""

from functools import partial

import streamlit as st

from dashboard import board
from dashboard.statements import choices, drill, sections

page = board.open_board(
    "statements", "Statements", "What did each tenant open, get, burn and close with, and does it add up?"
)
chosen = choices.chosen(page)
chosen.ask()

page.panel("", ("totals",), partial(sections.figures, chosen), height=170)
if chosen.row is not None:
    page.panel("How it adds up", choices.OF_ROW, partial(drill.adds_up, chosen), height=300)
page.panel("All tenants by month", ("totals", "taken_off"), partial(sections.by_month, chosen), height=520)
page.panel("By tenant and month", ("monthly",), partial(sections.by_tenant, chosen), height=1_010)
left, right = st.columns([3, 2])
page.panel(
    "Deferred revenue and breakage", ("prices", "totals"), partial(sections.worth, chosen), height=260, place=left
)
page.panel(
    "Corrections of closed months", ("corrections",), partial(sections.corrected, chosen), height=260, place=right
)
page.fill()
