"""All statements of the suite."""

from __future__ import annotations

from benchmarks.truth import joins, lookups, orders, refusals, shapes
from benchmarks.truth.case import Case

CASES: tuple[Case, ...] = (*lookups.CASES, *orders.CASES, *shapes.CASES, *joins.CASES, *refusals.CASES)
