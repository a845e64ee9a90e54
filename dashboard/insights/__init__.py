"""What the figures mean: pure functions on numbers and frames."""
