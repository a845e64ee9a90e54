"""The script that Streamlit reruns: the page's frame, who is looking, and the navigation."""

import streamlit as st

from dashboard import entrance, panels, places

SIDEBAR_PX = 210

st.set_page_config(page_title="Usage dashboard", page_icon="📊", layout="wide", initial_sidebar_state=SIDEBAR_PX)
page = st.navigation(places.navigation(), position=places.position())
entrance.admit()
entrance.who_looks()
panels.notices()
page.run()
