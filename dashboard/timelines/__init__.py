"""The parts of the Timelines page: what is chosen, the zoom, the main chart, and the panels around it."""
