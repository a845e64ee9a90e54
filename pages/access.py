"""Access: who has which role for which tenants, and who gave it to them."""

import streamlit as st

from dashboard import access, board

page = board.open_board("access", "Access", "Who may do what, and who gave it to them?")
shown = access.open_access(page)

left, right = st.columns([2, 1])
access.everybody(shown, left)
access.giving(shown, right)
access.looking_up(shown)
