"""Audit: who signed in, opened which tenant, took what along, closed or changed what."""

from dashboard import board, places, trail

page = board.open_board(
    "audit", "Audit", "Who looked at whose figures, took what along, closed or changed what, and when?"
)
shown = trail.Trail(page, trail.chosen(page))
page.look_up({"audit": shown.reading()})

page.panel("What was done", ("audit",), shown.draw, height=960)
page.fill()
places.link("exports", "Take the whole period along as a file", {"report": "Audit"})
