"""How well it went: every execution recorded, counted and logged."""
