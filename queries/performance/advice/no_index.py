"""The verdicts where no index is advised: pre-aggregate, page otherwise, ANALYZE, or none with the reason."""

from __future__ import annotations

from queries.performance.advice import reasons
from queries.performance.advice.cases import Case
from queries.performance.advice.estimates import UNVERIFIED
from queries.performance.advice.findings import Findings
from queries.performance.advice.index import quoted
from queries.performance.advice.model import Advice, Evidence
from queries.performance.advice.planner import Node, nodes
from queries.performance.advice.scans import Scan
from queries.performance.advice.trials import HALVED, LEAST_GAIN_MS_PER_CALL, QUICK_MS
from queries.tables import OUR_SCHEMA

SMALLEST_TABLE_ROWS = 10_000
# Reading this share of a table, an index is no shorter way; and rows for an answer, from which a sum kept ready pays.
WIDE_SHARE, MANY_ROWS, FEWER = 0.1, 50_000, 20
# A page this deep reads what it skips; a table whose statistics are this much out of date.
DEEP_OFFSET_ROWS, STALE_SHARE = 1_000, 0.5
_LIKE_SHARE = 0.05


def without_index(found: Findings, place: int) -> Advice:
    """The verdict for a statement that no index is advised for."""
    case = found.cases[place]
    for verdict in (_deep_page, _unanchored_pattern, _whole_table):
        advice = verdict(found, place, case)
        if advice is not None:
            return advice
    return Advice(
        (case.name,),
        "none",
        "low",
        f"No index helps, because {_why_none(found, place, case)}.",
        evidence=found.evidence,
    )


def analyses(found: Findings) -> list[Advice]:
    """ANALYZE for tables that the planner knows nothing of, or long since changed."""
    advice = []
    for relation in sorted(found.tables):
        table = found.tables[relation]
        if not table.is_indexable or table.rows < SMALLEST_TABLE_ROWS:
            continue
        stale = table.changed_since_analyze >= max(STALE_SHARE * table.rows, 1.0) and table.was_analyzed
        if table.was_analyzed and not stale:
            continue
        names = tuple(case.name for case in found.cases if any(scan.relation == relation for scan in case.scans))
        told = (
            f"{table.changed_since_analyze:,} rows of about {table.rows:,.0f} have changed since it was analyzed"
            if stale
            else f"it has about {table.rows:,.0f} rows and was never analyzed"
        )
        reason = (
            f"The planner guesses about {table.label}: {told}. Run ANALYZE, and ask again: until then no advice on"
            " it is sound."
        )
        ddl = f"ANALYZE {quoted(table.schema)}.{quoted(table.name)}"
        if names:
            advice.append(
                Advice(names, "analyze", "medium", reason, table=table.label, ddl=ddl, evidence=found.evidence)
            )
    return advice


def _deep_page(found: Findings, place: int, case: Case) -> Advice | None:
    """OFFSET reads all it skips; a page that begins after the last row seen does not."""
    costs = found.unpaged.get(place)
    if costs is None or not any(case.before[kind] >= HALVED * costs[kind] for kind in costs):
        return None
    saved = case.gain_ms_per_call(costs)
    if saved < LEAST_GAIN_MS_PER_CALL:
        return None
    reason = (
        "OFFSET reads and throws away every row that it skips. Page by the last row seen instead: WHERE (the ORDER BY"
        " columns) < (their values in that row), with the same ORDER BY and LIMIT. For a first page"
        f" {reasons.costs_fall(case, costs)}, and so for every other."
    )
    before, after = case.ms(case.before), case.ms(costs)
    gain = {kind: before[kind] - after[kind] for kind in before}
    return Advice(
        (case.name,),
        "rewrite",
        "medium",
        reason,
        before_ms=before,
        after_ms=after,
        gain_ms=gain,
        evidence=found.evidence,
    )


def _unanchored_pattern(found: Findings, place: int, case: Case) -> Advice | None:
    del place
    for scan in case.scans:
        table = found.tables[scan.relation]
        term = next((one for one in scan.terms if one.kind == "like"), None)
        if term is None or table.rows < SMALLEST_TABLE_ROWS or scan.rows_out > _LIKE_SHARE * table.rows:
            continue
        name = f'"{term.column}"' if term.column else term.expression
        reason = (
            f"{name} is searched for a pattern that begins with a wildcard, which no btree can answer:"
            f" {reasons.today(scan, table)}. If people need it, a trigram index does it (CREATE EXTENSION pg_trgm, then"
            f" CREATE INDEX ... ON {table.label} USING gin ({name} gin_trgm_ops)), for patterns of three letters or"
            " more; it is large, slows writes, and was not tried here. A pattern that begins with letters needs none."
        )
        return Advice((case.name,), "rewrite", "low", reason, table=table.label, evidence="estimated")
    return None


def _whole_table(found: Findings, place: int, case: Case) -> Advice | None:
    """An aggregate over much of a large table: what it adds up again each time can be kept."""
    del place
    plan = case.plans[case.pilot]
    widest = max(case.scans, key=lambda scan: (scan.rows_out, scan.alias), default=None)
    added_up = max((float(node["Plans"][0]["Plan Rows"]) for node in nodes(plan) if _adds_up(node)), default=0.0)
    if widest is None or not found.tables[widest.relation].is_indexable:
        return None
    # A statement that reads our aggregates has its sums kept already: what it reads of the rows is the rest.
    if any(found.tables[scan.relation].schema == OUR_SCHEMA for scan in case.scans):
        return None
    table = found.tables[widest.relation]
    share = widest.rows_out / max(table.rows, 1.0)
    is_wide = share >= WIDE_SHARE or widest.rows_out >= MANY_ROWS
    is_many = min(widest.rows_out, added_up) >= SMALLEST_TABLE_ROWS
    # How many groups an expression makes, no statistics tell.
    by_expression = any("(" in key for node in nodes(plan) for key in node.get("Group Key", ()))
    is_few = by_expression or float(plan["Plan Rows"]) * FEWER <= widest.rows_out
    if not (is_wide and is_many and is_few):
        return None
    reason = (
        f"No index helps: {reasons.today(widest, table)}, {min(share, 1.0):.0%} of the table, to answer with"
        f" {float(plan['Plan Rows']):,.0f} rows. Keep the sums in a table or materialized view by tenant and day and"
        " read those, or let the cache keep the answer longer."
    )
    return Advice((case.name,), "pre_aggregate", "low", reason, table=table.label, evidence=found.evidence)


def _adds_up(node: Node) -> bool:
    return node["Node Type"] in ("Aggregate", "Group") and bool(node.get("Plans"))


def _why_none(found: Findings, place: int, case: Case) -> str:
    if place in found.too_costly_to_write:
        return (
            f"the writes would lose more than the statement gains ({found.too_costly_to_write[place]:,.0f} ms a day for"
            f" keeping the index)"
        )
    if not case.scans:
        return "it reads no table of this database"
    tables = [found.tables[scan.relation] for scan in case.scans]
    if all(one.schema == OUR_SCHEMA for one in tables):
        return "it reads tables of the dashboard's own, which has their indexes in its migrations"
    partitions = [one for one in tables if one.is_partition]
    if partitions:
        return f"{partitions[0].label} is a partition, and an index belongs to the partitioned table as a whole"
    largest = max(tables, key=lambda table: (table.rows, table.label))
    if largest.rows < SMALLEST_TABLE_ROWS:
        few = f"{largest.label} has {largest.rows:,.0f} rows"
        return few + f", and under {SMALLEST_TABLE_ROWS:,} reading them all is as quick"
    usual = max(case.ms(case.before).values())
    if usual < QUICK_MS:
        return f"it takes about {usual:.2g} ms as it is{_served(case)}"
    scan = max(case.scans, key=lambda one: (one.cost, one.alias))
    table = found.tables[scan.relation]
    if not case.options:
        return f"{reasons.today(scan, table)}, and{_nothing_to_go_by(scan)}"
    share = scan.rows_out / max(table.rows, 1.0)
    if share >= WIDE_SHARE:
        return f"{reasons.today(scan, table)}: {share:.0%} of the table, and reading it whole is cheaper"
    best = _best_tried(case) if case.tried else _not_tried(case, found.evidence)
    return f"{reasons.today(scan, table)}; {best}"


def _served(case: Case) -> str:
    names = sorted({str(scan.node["Index Name"]) for scan in case.scans if "Index Name" in scan.node})
    return f": {', '.join(names)} serves it" if names else ""


def _nothing_to_go_by(scan: Scan) -> str:
    served = f' "{scan.node["Index Name"]}" serves its conditions already' if "Index Name" in scan.node else ""
    computed = next((one.expression for one in scan.terms if one.expression), "")
    if computed and not served:
        return f" what it compares is computed ({computed}), so that no index of a column applies"
    return served or " it names no condition or order that an index could serve"


def _not_tried(case: Case, evidence: Evidence) -> str:
    """Where no planner has seen a candidate, nothing is claimed of it but what was reckoned."""
    if case.held_up:
        return f"no index was tried, since {case.held_up}"
    count = len({index for option in case.options for index in option})
    if not count:
        return "there is no candidate that could be tried"
    reckoned = f"{count} candidates were" if count > 1 else "one candidate was"
    if evidence == "built":
        return f"{reckoned} reckoned from the statistics and none halves the cost, so that none was built"
    return (
        f"{reckoned} only reckoned from the statistics, for want of HypoPG on this server, and none promises"
        f" {UNVERIFIED:.0f} times less, so that none was tried"
    )


def _best_tried(case: Case) -> str:
    least = case.least or case.before
    best = max(case.before[kind] / max(least[kind], 0.01) for kind in least)
    if best < HALVED:
        with_these = f"with the best of {case.tried} candidates" if case.tried > 1 else "with the one candidate"
        return f"{with_these} it would cost {best:.1f} times less, and an index has to halve it"
    return (
        f"of {case.tried} candidates none saves enough: at least {LEAST_GAIN_MS_PER_CALL} ms a call and half the cost,"
        " without making any tenant slower"
    )
