"""The script that Streamlit reruns: the page's frame, who is looking, and the navigation."""

import streamlit as st

from dashboard import panels, places, viewer

SIDEBAR_PX = 210

st.set_page_config(page_title="Usage dashboard", page_icon="📊", layout="wide", initial_sidebar_state=SIDEBAR_PX)
page = st.navigation(places.navigation(), position="sidebar")
viewer.switch()
panels.notices()
page.run()
