"""Why: a verdict's numbers in sentences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from queries.performance.advice.cases import Case, Costs
from queries.performance.advice.catalog import Table
from queries.performance.advice.conditions import Term
from queries.performance.advice.index import Index, covers
from queries.performance.advice.model import TENANT_KINDS, Evidence, TenantKind
from queries.performance.advice.scans import Scan

_HOW_SURE: dict[Evidence, str] = {
    "hypopg": "The planner was asked with HypoPG and the true parameters.",
    "built": "It was built, the statements were run with it, and all was rolled back: these times are measured.",
    "estimated": (
        "This is an estimate that no planner has verified: run CREATE EXTENSION hypopg on the server, or try it on a"
        " copy."
    ),
}


def costs_fall(case: Case, after: Costs, evidence: Evidence = "hypopg") -> str:
    """From what to what, for each kind of tenant, those that fare alike together: in milliseconds where they were
    measured, else in the planner's cost."""
    is_measured = evidence == "built"
    before = case.ms(case.before) if is_measured else case.before
    later = case.ms(after) if is_measured else after
    groups: dict[tuple[str, str, str], list[TenantKind]] = {}
    for kind in TENANT_KINDS:
        if kind in before:
            numbers = (_number(before[kind]), _number(later[kind]), times(before[kind], later[kind]))
            groups.setdefault(numbers, []).append(kind)
    parts = [
        f"{was} to {now}{' ms' if is_measured else ''} ({ratio})"
        + ("" if len(groups) == 1 else f" for the {_listed(kinds)} tenant")
        for (was, now, ratio), kinds in groups.items()
    ]
    alike = " for every kind of tenant" if len(groups) == 1 and len(case.before) > 1 else ""
    what = "the time" if is_measured else "the planner's cost"
    return f"{what} falls from {'; '.join(parts)}{alike}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 1 else f"{value:.2g}"


def times(before: float, after: float) -> str:
    ratio = before / max(after, 0.01)
    return f"{ratio:,.0f} times" if ratio >= 10 else f"{ratio:.1f} times"


def today(scan: Scan, table: Table) -> str:
    """How a table is read now."""
    how = str(scan.node["Node Type"])
    by = f' by "{scan.node["Index Name"]}"' if "Index Name" in scan.node else ""
    return f"{table.label} ({table.rows:,.0f} rows) is read by {how}{by} for {max(scan.rows_out, 0):,.0f} rows"


def does(index: Index, scans: Iterable[Scan]) -> str:
    """What the index's keys are for."""
    scan = next(iter(scans), None)
    if scan is None:
        return "it reads what it needs from the index"
    by_kind: dict[str, list[str]] = {"equal": [], "order": [], "range": [], "prefix": []}
    terms = [*scan.terms, *scan.joins]
    ordered = {key.column for order in scan.orders for key in order}
    for key in index.keys:
        name = f'"{key.column}"' if key.column else key.expression
        kinds = {term.kind for term in terms if _of(term, key.column, key.expression)}
        kind = "equal" if kinds & {"eq", "in", "null"} else "range" if "range" in kinds else "order"
        kind = "prefix" if "prefix" in kinds else kind
        if key.column in ordered and kind != "equal":
            kind = "order"
        by_kind[kind].append(name)
    parts = [
        *([f"{_listed(by_kind['equal'])} held equal"] if by_kind["equal"] else []),
        *([f"{_listed(by_kind['range'])} in a range"] if by_kind["range"] else []),
        *([f"{_listed(by_kind['prefix'])} by its first letters"] if by_kind["prefix"] else []),
        *([f"{_listed(by_kind['order'])} in the order asked for"] if by_kind["order"] else []),
    ]
    more = "; all columns it needs are inside" if index.include else ""
    rows = "; only the rows that the condition names" if index.where else ""
    blocks = "; a block range index, since the column grows with the table" if index.method == "brin" else ""
    return ", ".join(parts) + more + rows + blocks


def how_sure(evidence: Evidence) -> str:
    return _HOW_SURE[evidence]


def burden(size_bytes: int, write_bytes: int) -> str:
    return f"About {size_words(size_bytes)}, and {write_bytes} bytes of log for each row written."


def size_words(count: int) -> str:
    if count >= 2**20:
        return f"{count / 2**20:,.1f} MiB"
    return f"{count / 2**10:,.0f} KiB"


def made_redundant(index: Index, table: Table) -> str:
    """Indexes that the new one covers."""
    names = [
        f'"{one.name}"'
        for one in table.indexes
        if one.index is not None and not one.is_unique and covers(index, one.index)
    ]
    if not names:
        return ""
    verb = "is" if len(names) == 1 else "are"
    return f" {_listed(names)} {verb} covered by it and can be dropped afterwards."


def _of(term: Term, column: str, expression: str) -> bool:
    return term.column == column if column else term.expression == expression


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
