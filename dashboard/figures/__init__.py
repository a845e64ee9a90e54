"""Frames become Plotly figures: pure functions, one look, tested by their data."""
