"""One statement, or a reason in words; parameters cast to their types; predicates made plain."""

import contextlib

import pglast
import pytest
from hypothesis import given
from hypothesis import strategies as st

from queries.performance.advice.model import Statement
from queries.performance.advice.parsing import UnusableError, parsed, with_types
from queries.performance.advice.rewrites import rewritten, unpaged

TYPES = {
    "createdAt": "timestamp(3) without time zone",
    "id": "integer",
    "at": "timestamp with time zone",
    "a": "integer",
}


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("selec", "cannot parse"),
        ("", "empty"),
        ("-- only a comment", "empty"),
        ("SELECT 1; SELECT 2", "2 statements"),
        ("DROP TABLE x", "no query"),
        ("INSERT INTO x VALUES (1)", "no query"),
        ("SELECT 1 INTO x", "SELECT INTO"),
        ("SELECT '\0'", "zero byte"),
        ("SELECT " + "(" * 60_000, "bytes|parse"),
    ],
)
def test_what_is_not_one_query_is_refused_in_words(sql: str, told: str) -> None:
    with pytest.raises(UnusableError, match=told):
        parsed(Statement("x", sql))


@pytest.mark.parametrize(
    "sql",
    ["SELECT 1;", "/* ; */ SELECT $tag$ ; $tag$ -- ;", "  SELECT ';' ; ", "UPDATE t SET a = 1", "DELETE FROM t"],
)
def test_semicolons_in_comments_and_quotes_are_no_second_statement(sql: str) -> None:
    assert len(pglast.parse_sql(parsed(Statement("x", sql)).text)) == 1


@given(st.text(max_size=80))
def test_any_text_is_taken_or_refused(sql: str) -> None:
    with contextlib.suppress(UnusableError):
        parsed(Statement("x", sql))


def test_types_are_cast_in_place_and_nothing_else_is_a_type() -> None:
    text = "SELECT '$1', \"$1\" FROM t WHERE é = $1 AND b = $12 -- $1"
    typed = with_types(text, ("text[]",) + ("",) * 10 + ("timestamp without time zone",))
    assert typed == "SELECT '$1', \"$1\" FROM t WHERE é = ($1::text[]) AND b = ($12::timestamp without time zone) -- $1"
    for wrong in ("int; DROP TABLE x", "int, 1", "int FROM x", ""):
        if wrong:
            with pytest.raises(UnusableError, match="type"):
                with_types("SELECT $1", (wrong,))


def test_orders_follow_names_and_places_of_the_list() -> None:
    one = parsed(Statement("x", "SELECT a AS b, c FROM t ORDER BY 2 DESC, b NULLS FIRST"))
    assert [(order.column, order.descending, order.nulls_first) for order in one.orders[0]] == [
        ("c", True, True),
        ("a", False, True),
    ]


def test_constants_are_what_the_code_says() -> None:
    sql = "SELECT 1 FROM t WHERE a = 'x' AND b = $1 AND c = $2 AND d > 'y'"
    assert parsed(Statement("x", sql, constants=frozenset({2}))).constants == {"a", "c"}


@pytest.mark.parametrize(
    ("predicate", "plain"),
    [
        ("date_trunc('day', \"createdAt\") = $1", "interval"),
        ('"createdAt"::date = $1', '"createdAt" < CAST(CAST($1 AS date) + 1 AS timestamp(3))'),
        ('extract(year from "createdAt") = 2026', "make_date"),
        ("extract(month from at) = 2 AND extract(year from at) = 2026", "at >= CAST(make_date(CAST(2026 AS int"),
        ("to_char(\"createdAt\", 'YYYY-MM') = '2026-01'", "to_date"),
        ("\"createdAt\" + interval '1 day' > $1", "\"createdAt\" > $1 - CAST('1 day' AS interval)"),
        ("now() - \"createdAt\" < interval '7 days'", '"createdAt" > now()'),
        ("id::text = $1", "id = CAST($1 AS integer)"),
        ("coalesce(a, 0) = 1", "a = 1"),
        ("coalesce(a, 0) = 0", "a = 0 OR a IS NULL"),
        ("coalesce(a, b) > 1", "a > 1 OR (a IS NULL AND b > 1)"),
        ("a / 1000 >= 3", "a >= 3 * 1000"),
        ("t.a NOT IN (SELECT x FROM u)", "NOT EXISTS"),
        ("(SELECT count(*) FROM u WHERE u.x = t.a) > 0", "EXISTS"),
        ("name ILIKE 'ab%'", "lower(name) LIKE lower('ab%')"),
    ],
)
def test_a_hidden_column_is_made_plain(predicate: str, plain: str) -> None:
    new = rewritten("SELECT 1 FROM t WHERE z = 2 AND " + predicate, TYPES)  # noqa: S608 - no input
    assert new is not None
    assert plain in new.text
    assert "z = 2" in new.text
    assert len(pglast.parse_sql(new.text)) == 1
    assert rewritten(new.text, TYPES) is None


@pytest.mark.parametrize(
    "predicate", ["a = 1", "lower(a) = 'x'", "a > b", "date_trunc('day', a) = date_trunc('day', b)"]
)
def test_what_hides_nothing_or_cannot_be_undone_is_left(predicate: str) -> None:
    assert rewritten("SELECT 1 FROM t WHERE " + predicate, TYPES) is None  # noqa: S608 - no input


def test_a_page_without_its_offset_keeps_its_parameters() -> None:
    text = unpaged("SELECT a FROM t ORDER BY a LIMIT $1 OFFSET $2")
    assert text is not None
    assert "$2" in text
    assert unpaged("SELECT a FROM t ORDER BY a LIMIT 3") is None
