"""Access: who has which role for which tenants, and who gave it to them."""

import streamlit as st

from dashboard import access, access_lookup, board

page = board.open_board("access", "Access", "Who may do what, and who gave it to them?")
shown = access.open_access(page)

left, right = st.columns([3, 1])
access.everybody(shown, left)
access.giving(shown, right)
access_lookup.looking_up(shown)
