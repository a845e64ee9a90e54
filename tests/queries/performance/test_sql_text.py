"""Statements of the log: numbered, laid out, and looked through before they are run. No database."""

import json
from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queries.errors import ArgumentError
from queries.performance.monitor import fingerprint, masked
from queries.performance.plan_masking import hidden_values, without_hidden
from queries.performance.sql_text import hidden_parameters, laid_out, numbered, refuse_all_but_one_select, with_types


def test_parameters_are_numbered_by_name_and_shown_by_name():
    sql = "SELECT a FROM t WHERE x = %(one)s AND y LIKE %(two)s || '%%' AND z = %(one)s"
    assert numbered(sql) == ("SELECT a FROM t WHERE x = $1 AND y LIKE $2 || '%' AND z = $1", ("one", "two"))
    shown = laid_out(sql)
    assert shown.count("%(one)s") == 2
    assert "%(two)s" in shown
    assert shown.count("\n") >= 2


def test_what_cannot_be_parsed_is_shown_as_it_is():
    assert laid_out("SELEC %(a)s") == "SELEC %(a)s"


def test_a_laid_out_statement_is_the_same_statement():
    sql = 'WITH s AS (SELECT "a b", $$x$$ FROM "T" WHERE i = ANY (%(ids)s)) SELECT * FROM s ORDER BY 1 DESC NULLS LAST'
    assert fingerprint(laid_out(sql)) == fingerprint(sql) is not None


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM t",
        "WITH d AS (DELETE FROM t RETURNING *) SELECT * FROM d",
        "WITH d AS (INSERT INTO t VALUES (1) RETURNING *) SELECT * FROM d",
        "WITH d AS (UPDATE t SET a = 1 RETURNING *) SELECT * FROM d",
        "SELECT 1; SELECT 2",
        "SELECT 1; DROP TABLE t",
        "SELECT * INTO u FROM t",
        "SELECT * FROM t FOR UPDATE",
        "SELECT * FROM (SELECT * FROM t FOR SHARE) AS s",
        "CREATE TABLE t (a int)",
        "EXPLAIN ANALYZE DELETE FROM t",
        "COPY t TO PROGRAM 'true'",
        "DO $$ BEGIN END $$",
        "SET statement_timeout = 0",
        "SELECT (",
        "",
        "-- nothing",
    ],
)
def test_all_but_one_select_is_refused(sql):
    with pytest.raises(ArgumentError):
        refuse_all_but_one_select(sql)


@pytest.mark.parametrize(
    ("sql", "called"),
    [
        ("SELECT 1 /* ; DROP TABLE t */", set()),
        ("SELECT $a$;$a$", set()),
        (
            "WITH a AS (SELECT count(*) FROM t) SELECT pg_catalog.now() FROM a UNION SELECT x FROM f(1)",
            {"count", "now", "f"},
        ),
        ("SELECT 1 WHERE EXISTS (SELECT pg_terminate_backend(%(pid)s))", {"pg_terminate_backend"}),
    ],
)
def test_one_select_names_the_functions_it_calls(sql, called):
    assert refuse_all_but_one_select(sql) == called


def test_masked_parameters_are_found():
    sql = "SELECT %(a)s, %(search)s, %(ids)s, %(c)s, %(list)s"
    given_ = {"a": 1, "search": "(hidden)", "ids": "(12 values)", "list": ["x", "(hidden)"], "unused": "(hidden)"}
    assert hidden_parameters(sql, given_) == ["search", "ids", "c", "list"]
    assert hidden_parameters("SELECT %(a)s", {"a": "hidden"}) == []


def test_hidden_values_are_hidden_in_conditions_too():
    values = hidden_values(
        {"search": "%o'Brien%", "n": 5, "zone": "UTC"}, {"search": "(hidden)", "n": 5, "zone": "UTC"}
    )
    plan = {"Filter": "((name ~~* '%o''Brien%'::text) AND (\"o'Brien\" = 5))", "Plans": [{"Sort Key": ["'UTC'"]}]}
    assert without_hidden(plan, values) == {
        "Filter": "((name ~~* '(hidden)'::text) AND (\"o'Brien\" = 5))",
        "Plans": [{"Sort Key": ["'UTC'"]}],
    }


@given(st.text(alphabet=st.characters(exclude_characters="\x00"), min_size=1))
def test_no_hidden_value_is_left_in_a_literal(value):
    literal = "'" + value.replace("'", "''") + "'"
    values = hidden_values({"search": value}, {"search": "(hidden)"})
    shown = without_hidden({"Filter": f"(name = {literal}::text)"}, values)["Filter"]
    assert shown == "(name = '(hidden)'::text)" or not value.strip("%_")


@given(
    st.one_of(
        st.datetimes(), st.datetimes(timezones=st.just(UTC)), st.dates(), st.timedeltas(), st.integers(), st.booleans()
    )
)
def test_a_logged_value_is_what_it_was(value):
    logged = json.loads(json.dumps(masked({"a": value, "b": [value]})))
    assert with_types(logged["a"]) == value
    assert type(with_types(logged["a"])) is type(value)
    assert with_types(logged["b"]) == [value]


@given(st.text())
def test_a_text_stays_one_unless_it_reads_as_a_time(text):
    assert with_types(text) == text or not isinstance(with_types(text), str)
