"""Own parts add up to the whole, whatever the tree; the shape of a plan outlives its values. No database."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queries.performance.plan_shape import plan_hash, without_values
from queries.performance.plan_tree import plan_tree

numbers = st.floats(0, 1e7, allow_nan=False, allow_infinity=False)
names = st.sampled_from(["a", "b", "InitPlan 1", "InitPlan 1 (returns $0)", "CTE sums", 'CTE "x', "SubPlan 2"])
texts = st.sampled_from(["(x > $0)", "(x > (InitPlan 1).col1)", "(hashed SubPlan 2)", "(a = 1)", ""])
kinds = st.sampled_from(
    ["Seq Scan", "Nested Loop", "Hash Join", "Gather", "Gather Merge", "Limit", "CTE Scan", "Materialize", "Aggregate"]
)


@st.composite
def printed_nodes(draw: Any, depth: int = 0) -> dict[str, Any]:
    """What a PostgreSQL of any version might print, and what none would: any key may be missing."""
    node: dict[str, Any] = {"Node Type": draw(kinds)}
    optional = {
        "Total Cost": numbers,
        "Plan Rows": st.integers(0, 10**6),
        "Actual Total Time": numbers,
        "Actual Loops": st.integers(0, 9),
        "Actual Rows": numbers,
        "Parent Relationship": st.sampled_from(["Outer", "Inner", "InitPlan", "SubPlan", "Member"]),
        "Subplan Name": names,
        "CTE Name": st.sampled_from(["sums", '"x']),
        "Filter": texts,
        "Params Evaluated": st.just(["$0"]),
        "Shared Hit Blocks": st.integers(0, 10**6),
        "Alias": st.text(max_size=4),
    }
    for key, values in optional.items():
        if draw(st.booleans()):
            node[key] = draw(values)
    if depth < 4:
        node["Plans"] = [draw(printed_nodes(depth + 1)) for _ in range(draw(st.integers(0, 3)))]
    return node


@given(printed_nodes())
def test_own_parts_add_up_to_the_whole(root):
    root = {**root, "Actual Loops": 1, "Actual Total Time": 120.5, "Total Cost": 99.0}
    tree = plan_tree({"Plan": root, "Execution Time": 121})
    assert sum(one.cost_share for one in tree.nodes) == pytest.approx(1)
    assert sum(one.time_share for one in tree.nodes) == pytest.approx(1)
    assert sum(one.own_ms for one in tree.nodes) == pytest.approx(120.5)
    assert sum(one.own_cost for one in tree.nodes) == pytest.approx(99)
    assert all(one.own_ms >= 0 and one.own_cost >= 0 for one in tree.nodes)
    assert all(one.parent < one.number for one in tree.nodes)


@given(printed_nodes())
def test_an_estimate_tells_no_time(root):
    root = {key: one for key, one in root.items() if not key.startswith("Actual")}
    tree = plan_tree({"Plan": root})
    assert not tree.is_measured
    assert all(one.own_ms is None and one.actual_rows is None for one in tree.nodes)
    assert sum(one.cost_share for one in tree.nodes) == pytest.approx(1)


def test_nothing_that_is_printed_is_needed():
    tree = plan_tree({})
    assert len(tree.nodes) == 1
    assert tree.nodes[0].share == 1
    assert tree.execution_ms is None


def node(kind: str, ms: float = 0, *below: dict[str, Any], loops: int = 1, **printed: Any) -> dict[str, Any]:
    return {
        "Node Type": kind, "Actual Total Time": ms, "Actual Loops": loops, "Actual Rows": 1, "Plan Rows": 1,
        "Total Cost": ms, "Plans": list(below), **{key.replace("_", " "): one for key, one in printed.items()},
    }  # fmt: skip


def own(root: dict[str, Any]) -> dict[str, float]:
    return {one.kind: round(one.own_ms or 0, 6) for one in plan_tree({"Plan": root}).nodes}


def test_loops_are_multiplied():
    scan = node("Index Scan", 0.5, loops=100, Parent_Relationship="Inner")
    assert own(node("Nested Loop", 60, node("Seq Scan", 4), scan)) == {
        "Nested Loop": 6,
        "Seq Scan": 4,
        "Index Scan": 50,
    }


def test_what_workers_share_is_counted_on_the_clock():
    scan = node("Seq Scan", 30, loops=3, Parallel_Aware=True)
    assert own(node("Gather", 40, scan, Workers_Launched=2)) == {"Gather": 10, "Parallel Seq Scan": 30}


@pytest.mark.parametrize(
    ("name", "filter_"), [("InitPlan 1 (returns $0)", "(x > $0)"), ("InitPlan 1", "(x > (InitPlan 1).col1)")]
)
def test_an_initplan_is_counted_once_and_taken_from_who_reads_it(name, filter_):
    first = node("Result", 60, Parent_Relationship="InitPlan", Subplan_Name=name)
    scan = node("Seq Scan", 95, Filter=filter_)
    assert own(node("Sort", 100, first, scan)) == {"Sort": 5, "Result": 60, "Seq Scan": 35}


def test_an_initplan_that_a_gather_evaluates_is_taken_from_the_gather():
    first = node("Result", 60, Parent_Relationship="InitPlan", Subplan_Name="InitPlan 1 (returns $0)")
    scan = node("Seq Scan", 20, loops=3, Filter="(x > $0)")
    gather = node("Gather", 90, scan, Params_Evaluated=["$0"])
    assert own(node("Limit", 91, first, gather)) == {"Limit": 1, "Result": 60, "Gather": 10, "Seq Scan": 20}


def test_a_cte_that_is_read_twice_is_counted_once():
    cte = node("Aggregate", 50, Parent_Relationship="InitPlan", Subplan_Name="CTE sums", Strategy="Hashed")
    readers = [node("CTE Scan", ms, CTE_Name="sums", Alias=name) for name, ms in (("a", 52.0), ("b", 1.0))]
    tree = plan_tree({"Plan": node("Hash Join", 60, cte, *readers)})
    assert [round(one.own_ms or 0, 6) for one in tree.nodes] == [7, 50, 2, 1]


def test_a_limit_pays_for_what_it_used():
    tree = plan_tree({"Plan": {**node("Limit", 1, node("Seq Scan", 1)), "Total Cost": 5.0}})
    cheap = {**node("Limit", 1, {**node("Seq Scan", 1), "Total Cost": 1000.0}), "Total Cost": 5.0}
    assert [one.own_cost for one in plan_tree({"Plan": cheap}).nodes] == [0, 5]
    assert tree.nodes[1].is_cut_short


def test_a_sort_below_a_limit_reads_all_the_same():
    tree = plan_tree({"Plan": node("Limit", 1, node("Sort", 1, node("Seq Scan", 1)))})
    assert [one.is_cut_short for one in tree.nodes] == [False, True, False]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("(id = 'a'::text)", "(id = 'it''s $1 \" ::b'::text)"),
        ("(n > 5)", "(n > '-7'::integer)"),
        ("(n > 5)", "(n > 1.5e+10)"),
        ("(at >= '2026-01-01 00:00:00+00'::timestamp with time zone)", "(at >= $3)"),
        ("(kind = 'UPSCALE'::\"GenerationType\")", "(kind = 'INPAINTING'::public.\"GenerationType\")"),
        ("(x = ANY ('{a,b}'::text[]))", "(x = ANY ('{c}'::text[]))"),
        ("(x = ANY (ARRAY['a'::text, 'b'::text]))", "(x = ANY (ARRAY['c'::text]))"),
        ("(name ~~* '%a%'::character varying(20))", "(name ~~* E'\\\\%b'::text)"),
        ("(x = (NULL)::text)", "(x = (NULL)::text)"),
        ("(amount > '1.50'::numeric(10,2))", "(amount > '3'::numeric)"),
    ],
)
def test_the_values_of_a_condition_do_not_count(one, other):
    assert without_values(one) == without_values(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("(a = 1)", "(b = 1)"),
        ("(a = 1)", "(a > 1)"),
        ('("col 1" = 1)', '("col 2" = 1)'),
        ("(a1 = 1)", "(a2 = 1)"),
        ("(x IS NULL)", "(x IS NOT NULL)"),
        ("(x = ANY ('{a}'::text[]))", "(x = 'a'::text)"),
    ],
)
def test_what_a_condition_is_about_counts(one, other):
    assert without_values(one) != without_values(other)


@given(st.text(), st.text())
def test_no_text_of_a_value_changes_the_shape(one, other):
    literals = ["'" + text.replace("'", "''") + "'" for text in (one, other)]
    hashes = {plan_hash({"Plan": {"Node Type": "Seq Scan", "Filter": f"(name = {each}::text)"}}) for each in literals}
    assert len(hashes) == 1


def test_estimates_and_times_do_not_count_and_the_way_does():
    base = {"Node Type": "Hash Join", "Join Type": "Left", "Plans": [{"Node Type": "Seq Scan", "Relation Name": "g"}]}
    known = plan_hash({"Plan": base})
    assert plan_hash({"Plan": {**base, "Total Cost": 5, "Actual Rows": 3, "Workers Planned": 2}}) == known
    assert plan_hash({"Plan": {**base, "Join Type": "Inner"}}) != known
    index = {"Node Type": "Index Scan", "Relation Name": "g", "Index Name": "i"}
    by_index = plan_hash({"Plan": {**base, "Plans": [index]}})
    by_another = plan_hash({"Plan": {**base, "Plans": [{**index, "Index Name": "j"}]}})
    assert len({known, by_index, by_another}) == 3


def test_a_plan_of_any_depth_has_a_tree_and_a_hash():
    deep: dict[str, Any] = {"Node Type": "Seq Scan"}
    for _ in range(3_000):
        deep = {"Node Type": "Subquery Scan", "Plans": [deep]}
    assert len(plan_tree({"Plan": deep}).nodes) == 3_001
    assert len(plan_hash({"Plan": deep})) == 16
