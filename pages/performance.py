"""Query performance: what the questions cost, what got slower, and why a page waited."""

from dashboard import board
from dashboard.performance import baseline, choices, sections

page = board.open_board(
    "performance", "Query performance", "Which questions cost the most, what got slower, and why did a page wait?"
)
chosen = choices.chosen(page)
baseline.control(page, chosen)
sections.draw(page, chosen)
page.fill()
