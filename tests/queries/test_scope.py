"""Whose rows a statement may read."""

import uuid

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects import postgresql

from queries.errors import NotFoundError
from queries.scope import Scope, native_id

ANY_TEXT = st.text(st.characters(codec=None), max_size=12)
IDS = st.frozensets(ANY_TEXT, max_size=6)
COLUMN = sa.Column("tenant_id", sa.Text)


@given(IDS, IDS)
def test_two_scopes_have_one_digest_only_when_they_have_the_same_ids(
    some: frozenset[str], other: frozenset[str]
) -> None:
    assert (Scope.of(some).digest == Scope.of(other).digest) == (some == other)
    assert (Scope.of(some) == Scope.of(other)) == (some == other)


@given(st.lists(ANY_TEXT, max_size=6))
def test_order_and_repetition_do_not_matter(ids: list[str]) -> None:
    assert Scope.of(ids) == Scope.of(reversed(ids + ids))
    assert Scope.of(ids).ordered_ids == Scope.of(reversed(ids)).ordered_ids


@given(IDS, IDS)
def test_a_scope_covers_its_subsets_only(some: frozenset[str], other: frozenset[str]) -> None:
    assert Scope.of(some).covers(Scope.of(other)) == (other <= some)
    assert Scope.all_tenants().covers(Scope.of(some))
    assert not Scope.of(some).covers(Scope.all_tenants())
    if other <= some:
        assert Scope.of(some).narrowed(other) == Scope.of(other)
    else:
        with pytest.raises(NotFoundError, match="no such tenant"):
            Scope.of(some).narrowed(other)


@given(IDS)
def test_the_predicate_binds_each_id_that_can_be_one(ids: frozenset[str]) -> None:
    compiled = Scope.of(ids).predicate(COLUMN).compile(dialect=postgresql.dialect())
    assert str(compiled) == "tenant_id = ANY (%(tenants_1)s::TEXT[])"
    bound = compiled.params["tenants_1"]
    assert bound == sorted(one for one in ids if "\x00" not in one and not any("\ud800" <= c <= "\udfff" for c in one))
    for one in bound:
        one.encode("utf-8")


def test_all_tenants_is_true() -> None:
    assert str(Scope.all_tenants().predicate(COLUMN)) == "true"


@given(st.one_of(ANY_TEXT, st.integers(-(2**70), 2**70).map(str), st.uuids().map(str), st.just("1_0"), st.just(" 7")))
def test_an_id_is_native_only_in_its_own_text_form(text: str) -> None:
    for type_, limit in ((sa.SmallInteger(), 2**15), (sa.Integer(), 2**31), (sa.BigInteger(), 2**63)):
        native = native_id(text, type_)
        assert native is None or (str(native) == text and abs(native) < limit)
    native = native_id(text, sa.Uuid())
    assert native is None or (isinstance(native, uuid.UUID) and str(native) == text)


@given(st.uuids(), st.integers(-(2**31) + 1, 2**31 - 1))
def test_uuid_and_integer_ids_come_through(one: uuid.UUID, number: int) -> None:
    assert native_id(str(one), sa.Uuid()) == one
    assert native_id(str(number), sa.Integer()) == number
