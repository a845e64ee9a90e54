"""What is asked: one module per subject. Importing the package makes every question known to `CATALOG`."""

from queries.catalog import (
    cohorts,
    credits,
    generations,
    latency,
    ledger,
    limits,
    notes,
    tenants,
    timelines,
    usage,
    users,
)

__all__ = [
    "cohorts",
    "credits",
    "generations",
    "latency",
    "ledger",
    "limits",
    "notes",
    "tenants",
    "timelines",
    "usage",
    "users",
]
