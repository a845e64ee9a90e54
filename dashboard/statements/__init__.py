"""The rooms of the Statements page: what is chosen, the panels, the way to a difference, and closing a month."""
