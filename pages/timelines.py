"""Timelines: when generations happen, how well they go, and what stands out."""

from dashboard import board, live
from dashboard.timelines import choices, sections

page = board.open_board(
    "timelines", "Timelines", "When do generations happen, how well do they go, and what stands out?"
)
chosen = choices.chosen(page)
if chosen.live:
    live.show(page, chosen.scope, chosen.period.zone)
sections.draw(page, chosen)
page.fill()
