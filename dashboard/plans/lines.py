"""A plan in a few lines of text, for where there is no room for more."""

from __future__ import annotations

from dashboard import words
from queries.performance.plan_tree import PlanTree


def plan_lines(tree: PlanTree) -> str:
    """A line per node: its own share, what it is, how many rows."""
    whole = words.small_ms(tree.total_ms) if tree.total_ms is not None else f"cost {tree.total_cost:,.0f}"
    lines = [f"own part of {whole}"]
    for one in tree.nodes:
        rows = one.estimated_rows if one.actual_rows is None else one.actual_rows
        counted = words.counted(round(rows), "row")
        lines.append(f"{words.percent(one.share):>8}  {'  ' * one.depth}{words.one_line(one.title)} ({counted})")
    return "\n".join(lines)
