"""What is asked: one module per subject. Importing the package makes every question known to `CATALOG`."""

from queries.catalog import (
    cohorts,
    corrections,
    credits,
    differences,
    generations,
    latency,
    ledger,
    limits,
    notes,
    prices,
    statements,
    tenants,
    timelines,
    usage,
    users,
)

__all__ = [
    "cohorts",
    "corrections",
    "credits",
    "differences",
    "generations",
    "latency",
    "ledger",
    "limits",
    "notes",
    "prices",
    "statements",
    "tenants",
    "timelines",
    "usage",
    "users",
]
