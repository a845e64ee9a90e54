"""What is asked: one module per subject. Importing the package makes every question known to `CATALOG`."""

from queries.catalog import credits, generations, tenants, usage

__all__ = ["credits", "generations", "tenants", "usage"]
