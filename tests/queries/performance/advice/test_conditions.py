"""What EXPLAIN prints is read by PostgreSQL's own grammar; what cannot be read says nothing."""

from hypothesis import given
from hypothesis import strategies as st

from queries.performance.advice.conditions import Either, Term, conditions, references, sort_term


def kinds(printed: str) -> list[tuple[str, str]]:
    return [(one.kind, one.column or one.expression) for one in conditions(printed) if isinstance(one, Term)]


def test_terms_of_a_filter() -> None:
    printed = (
        "((g.\"organizationId\" = 'o''1'::text) AND (g.\"createdAt\" >= '2026-01-01'::date) AND (g.x = ANY"
        " ('{1,2}'::integer[])) AND (g.name ~~ 'ab%'::text) AND (g.word ~~ '%ab'::text) AND (g.gone IS NULL)"
        " AND (lower(g.email) = 'x'::text) AND g.active)"
    )
    assert kinds(printed) == [
        ("eq", "organizationId"),
        ("range", "createdAt"),
        ("in", "x"),
        ("prefix", "name"),
        ("like", "word"),
        ("null", "gone"),
        ("eq", "lower(email)"),
        ("eq", "active"),
    ]


def test_a_join_is_a_term_of_either_side_and_of_no_value() -> None:
    found = conditions('(i."generationId" = g.id)')
    assert {(one.alias, one.column, one.is_outside, one.value) for one in found if isinstance(one, Term)} == {
        ("i", "generationId", True, ""),
        ("g", "id", True, ""),
    }


def test_a_comparison_is_turned_to_the_column() -> None:
    (found,) = conditions("(5 < g.x)")
    assert isinstance(found, Term)
    assert (found.column, found.operator, found.value) == ("x", ">", "5")


def test_subplans_are_values_of_no_column_whatever_the_version() -> None:
    for printed in ("(g.id = (InitPlan 1).col1)", "(g.id = $0)", "(g.id = (SubPlan 1))"):
        assert kinds(printed) == [("eq", "id")]
    walled = (
        "((((InitPlan 1).col1 = 'all'::text) OR (ANY (g.org = (hashed SubPlan 2).col1)))"
        " AND (g.ref = ANY ((InitPlan 3).col1)))"
    )
    assert kinds(walled) == [("in", "ref")]
    assert kinds("(NOT (hashed SubPlan 1))") == [] or kinds("(NOT (hashed SubPlan 1))")[0][1] == "subplan_value"


def test_or_keeps_its_arms() -> None:
    (found,) = conditions("((g.a = 1) OR ((g.b = 2) AND (g.c > 3)))")
    assert isinstance(found, Either)
    assert [[term.column for term in arm] for arm in found.arms] == [["a"], ["b", "c"]]


@given(st.text(max_size=60))
def test_whatever_is_printed_nothing_is_raised(printed: str) -> None:
    conditions(printed)
    references(printed)
    sort_term(printed)


def test_sort_keys_with_and_without_defaults() -> None:
    plain, last = sort_term('g."createdAt" DESC'), sort_term('g."createdAt" DESC NULLS LAST')
    assert (plain.column, plain.descending, plain.nulls_first) == ("createdAt", True, True)
    assert (last.column, last.descending, last.nulls_first) == ("createdAt", True, False)


def test_references_look_into_no_text() -> None:
    assert references("concat(g.a, 'b.c'::text, h.\"D e\")") == {("g", "a"), ("h", "D e")}
    assert references('PARTIAL sum("creditsUsed")') == {("", "creditsUsed")}
