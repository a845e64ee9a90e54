"""A plan as an icicle: each node as wide as its own part of the time or cost and its children's together."""

from __future__ import annotations

import html
from collections.abc import Sequence

import plotly.graph_objects as go

from dashboard import words
from queries.performance.plan_tree import Node, PlanTree
from queries.performance.plan_warnings import Level, level

# Strength by the node's own share, and what is written on it: on both themes.
_FILLS: dict[Level, str] = {
    "none": "rgba(128, 138, 150, 0.22)",
    "some": "rgba(201, 133, 0, 0.38)",
    "much": "#C24A00",
    "most": "#8F2D00",
}
_INK = ("#14181D", "#E4E8EC")
_ON_STRONG = "#FFFFFF"
_LEVEL_PX, _LEAST_PX = 34, 220
_LABEL = 60
# Rows of nodes that are narrower than this of the whole are left out.
_SEEN_SHARE = 0.02
LEVEL_WORDS: dict[Level, str] = {"none": "", "some": "over 10 %", "much": "over 40 %", "most": "over 90 %"}


def icicle(tree: PlanTree, *, is_dark: bool = False) -> go.Figure:
    """The first node on top. By the time where it was measured, else by the planner's cost."""
    parts = own_parts(tree)
    below = tree.shares_with_below()
    depth = max(one.depth for one in tree.nodes if below[one.number - 1] >= _SEEN_SHARE or not one.depth) + 1
    levels = [level(one.share) for one in tree.nodes]
    figure = go.Figure()
    figure.add_icicle(
        ids=[str(one.number) for one in tree.nodes],
        parents=[str(one.parent) if one.parent else "" for one in tree.nodes],
        labels=[_named(one) for one in tree.nodes],
        values=parts,
        maxdepth=depth,
        branchvalues="remainder",
        sort=False,
        tiling={"orientation": "v", "pad": 1},
        pathbar={"visible": False},
        textposition="middle left",
        texttemplate="%{label}",
        textfont={"size": 11, "color": [_ON_STRONG if one in ("much", "most") else _INK[is_dark] for one in levels]},
        marker={"colors": [_FILLS[one] for one in levels], "line": {"width": 0}},
        customdata=[_hover(one, tree) for one in tree.nodes],
        hovertemplate="%{customdata}<extra></extra>",
    )
    figure.update_layout(
        template="none",
        height=max(_LEAST_PX, _LEVEL_PX * depth + 12),
        margin={"l": 2, "r": 2, "t": 4, "b": 4},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        uniformtext={"minsize": 9, "mode": "hide"},
    )
    return figure


def own_parts(tree: PlanTree) -> list[float]:
    """Milliseconds or cost of each node itself; where there is none at all, the same for all."""
    parts = [one.own_cost if one.own_ms is None else one.own_ms for one in tree.nodes]
    return parts if any(parts) else [1.0] * len(parts)


def _named(node: Node) -> str:
    share = "" if level(node.share) == "none" else f" · {words.percent(node.share)}"
    return f"{_label(node.title)}{share}"


def _label(text: object) -> str:
    return html.escape(words.shortened(text, _LABEL), quote=False)


def _hover(one: Node, tree: PlanTree) -> str:
    lines = [f"<b>#{one.number} {_label(one.title)}</b>"]
    share = words.percent(one.share)
    if one.own_ms is not None:
        lines.append(f"Own time {words.small_ms(one.own_ms)}, {share} of {words.small_ms(tree.total_ms or 0)}")
        lines.append(f"Rows {_rows(one.actual_rows or 0)}, expected {_rows(one.estimated_rows)}")
    else:
        lines.append(f"Own cost {one.own_cost:,.1f}, {share} of {tree.total_cost:,.1f}")
        lines.append(f"Rows expected {_rows(one.estimated_rows)}")
    if one.condition:
        lines += [_label(piece) for piece in _pieces(one.condition)]
    return "<br>".join(lines)


def _pieces(text: str, wide: int = _LABEL, most: int = 4) -> Sequence[str]:
    line = words.one_line(text)
    found = [line[at : at + wide] for at in range(0, len(line), wide)]
    return found if len(found) <= most else [*found[: most - 1], f"{found[most - 1][: wide - 1]}…"]


def _rows(number: float) -> str:
    return words.exact(round(number))
