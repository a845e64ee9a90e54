"""The parts of the Tenants page: a room for each panel."""
