"""What one page run repeats: many questions of one statement, or one question again and again."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queries.performance.repeats import repeats
from tests.queries.performance.executions import executions
from tests.queries.performance.test_monitor import execution


def ran(*hashes: str, fingerprint: str = "f", outcome: str = "miss", line: str = "pages/burn.py:7") -> list:
    return [
        replace(execution(outcome), parameters_hash=one, fingerprint=fingerprint, asked_by=line, page="burn")
        for one in hashes
    ]


def test_five_of_one_statement_with_other_parameters_are_n_plus_one():
    (found,) = repeats(ran("a", "b", "c", "d", "e"))
    assert (found.kind, found.executions, found.distinct) == ("N+1", 5, 5)
    assert found.sentence == (
        "N+1: usage.totals ran 5 times in one run, 5 times with other parameters (page burn, pages/burn.py:7)."
        " Ask once for all of them."
    )


def test_the_same_question_twice_is_a_duplicate():
    (found,) = repeats(ran("a", "a", "b"))
    assert (found.kind, found.executions, found.distinct) == ("duplicate", 2, 1)
    assert "ran 2 times in one run with the same parameters (page burn, pages/burn.py:7)" in found.sentence


@pytest.mark.parametrize(
    "healthy",
    [
        ran("a", "b", "c", "d"),
        ran("a", "b", "c", "d", "e", outcome="hit"),
        ran("a", "a", "a", outcome="hit") + ran("a"),
        ran("a", "a", outcome="shared"),
        ran("a", "b", "c") + ran("d", "e", "f", fingerprint="g"),
        [],
    ],
    ids=["four", "from the cache", "once and then from the cache", "shared", "two statements", "nothing"],
)
def test_what_is_healthy_is_not_flagged(healthy):
    assert repeats(healthy) == []


def test_many_with_few_distinct_parameters_are_duplicates_and_no_n_plus_one():
    found = repeats(ran("a", "a", "b", "b", "c"))
    assert [(one.kind, one.executions, one.distinct) for one in found] == [("duplicate", 4, 2)]


def test_the_line_that_asked_most_is_named():
    found = repeats(ran("a", "b", "c", line="pages/burn.py:9") + ran("d", "e", line="pages/burn.py:7"))
    assert found[0].asked_by == "pages/burn.py:9"


@given(executions, st.randoms(use_true_random=False))
def test_the_order_of_the_executions_does_not_matter(recorded, chance):
    shuffled = chance.sample(recorded, len(recorded))
    assert repeats(shuffled) == repeats(recorded)


@given(executions)
def test_the_rules_by_counting(recorded):
    executed = [one for one in recorded if one.outcome == "miss" and one.fingerprint is not None]
    by_statement = Counter(one.fingerprint for one in executed)
    hashes = {
        name: Counter(one.parameters_hash for one in executed if one.fingerprint == name) for name in by_statement
    }
    many = {
        name: (times, len(hashes[name]))
        for name, times in by_statement.items()
        if times >= 5 and len(hashes[name]) / times >= 0.8
    }
    again = {name: [one for one in found.values() if one >= 2] for name, found in hashes.items()}
    duplicates = {name: (sum(times), len(times)) for name, times in again.items() if times}
    found = repeats(recorded)
    assert {one.fingerprint: (one.executions, one.distinct) for one in found if one.kind == "N+1"} == many
    assert {one.fingerprint: (one.executions, one.distinct) for one in found if one.kind == "duplicate"} == duplicates
