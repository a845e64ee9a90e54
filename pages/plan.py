"""Plan: how PostgreSQL carries out a statement, where its time goes, and whether that changed."""

from dashboard import board
from dashboard.plans import choices, sections

page = board.open_board(
    "plan", "Plan", "How does PostgreSQL carry out a statement, where does its time go, and has that changed?"
)
chosen = choices.chosen(page)
if chosen is None:
    sections.statements(page)
else:
    sections.statement(chosen)
page.fill()
