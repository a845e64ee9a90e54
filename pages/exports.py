"""Exports: which file there is, what is in it, and who took which one along."""

import streamlit as st

from dashboard import board
from dashboard.exports import contents, getting, past, wanted

page = board.open_board("exports", "Exports", "What will be in the file, and who has taken which one along?")
chosen = wanted.open_wanted(page)
found, register = contents.Contents(chosen), past.Past(page)
page.look_up({"contents": found.reading(), "register": register.reading()})

st.caption(chosen.report.question)
left, right = st.columns([3, 2])
page.panel(chosen.report.title, ("contents",), found.sums, height=300, place=left)
getting.panel(chosen, found, right)
page.panel("First rows", ("contents",), found.first_rows, height=420)
page.panel("Taken before", ("register",), register.draw, height=300)
page.fill()
