"""Candidates reckoned by hand, where no planner can be asked."""

from __future__ import annotations

from collections.abc import Mapping

from queries.performance.advice.cases import Case
from queries.performance.advice.catalog import Relation, Table


def estimate_candidates(case: Case, tables: Mapping[Relation, Table]) -> None:
    """Fill `case.outcomes`."""
