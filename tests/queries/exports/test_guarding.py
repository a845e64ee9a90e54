"""One rule in Python, in SQL and over Arrow's columns; and taking one guard away gives every text back."""

from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from queries.database import Database
from queries.exports.guarding import FORMULA_STARTS, GUARD, guarded, guarded_array, guarded_sql
from tests.queries.exports.conftest import HOSTILE

STARTS = st.sampled_from([*FORMULA_STARTS, "'", "", "A", "@", "a", "0", " ", "\uff0a", "\uff21", "😀", "ö"])
TEXTS = st.sampled_from(HOSTILE) | st.builds("{}{}{}".format, STARTS, STARTS, st.text(max_size=3))
STORED = TEXTS.filter(lambda one: "\x00" not in one and not any("\ud800" <= each <= "\udfff" for each in one))


@given(TEXTS)
def test_no_guarded_text_is_a_formula_and_every_text_comes_back(text: str) -> None:
    safe = guarded(text)
    assert not safe.startswith(FORMULA_STARTS)
    assert safe in (text, GUARD + text)
    is_guarded = safe.startswith(GUARD) and safe.lstrip(GUARD).startswith(FORMULA_STARTS)
    assert (safe[1:] if is_guarded else safe) == text


@given(st.lists(st.none() | TEXTS, max_size=6), st.integers(0, 3))
def test_arrow_has_the_same_rule(texts: list[str | None], start: int) -> None:
    column: Any = pa.array(texts, pa.string()).slice(start)
    assert guarded_array(column).to_pylist() == [None if one is None else guarded(one) for one in texts[start:]]


@given(st.lists(st.none() | STORED, min_size=1, max_size=20))
@settings(max_examples=40)
def test_postgresql_has_the_same_rule(demo: Database, texts: list[str | None]) -> None:
    rows = sa.func.unnest(sa.bindparam("texts", texts, type_=sa.ARRAY(sa.Text()))).column_valued("text")
    with demo.reader.connect() as connection:
        found = connection.scalars(sa.select(guarded_sql(sa.type_coerce(rows, sa.Text())))).all()
    assert found == [None if one is None else guarded(one) for one in texts]
