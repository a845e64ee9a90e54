"""The parts of the Credit burn page: what is chosen, who runs out when, and the panels that show it."""
