"""An index says itself as DDL with quoted names, as Prisma's line, and by a name that PostgreSQL keeps whole."""

from typing import Any

import pglast
from hypothesis import given
from hypothesis import strategies as st
from pglast import ast

from queries.performance.advice.index import Index, Key, covers

names = st.text(st.characters(codec="utf-8", exclude_characters="\0", exclude_categories=["Cs"]), min_size=1).filter(
    lambda name: len(name.encode()) <= 63
)
keys = st.builds(Key, column=names, descending=st.booleans(), nulls_first=st.sampled_from([None, True, False]))
indexes = st.builds(
    Index,
    schema=names,
    table=names,
    keys=st.lists(keys, min_size=1, max_size=4, unique_by=lambda key: key.column).map(tuple),
    include=st.lists(names, max_size=2, unique=True).map(tuple),
)


def stmt(text: str) -> Any:
    return pglast.parse_sql(text)[0].stmt


@given(indexes)
def test_the_ddl_says_the_names_of_the_catalog_and_nothing_else(index: Index) -> None:
    made = stmt(index.ddl())
    assert isinstance(made, ast.IndexStmt)
    assert made.concurrent
    assert (made.relation.schemaname, made.relation.relname) == (index.schema, index.table)
    assert [one.name for one in made.indexParams] == [key.column for key in index.keys]
    assert [one.name for one in made.indexIncludingParams or ()] == list(index.include)
    assert made.idxname == index.name()


@given(indexes)
def test_a_name_is_kept_whole_and_another_than_the_names_taken(index: Index) -> None:
    assert len(index.name().encode()) <= 63
    taken = frozenset({index.name()})
    plain = "_".join((index.table, *(key.column for key in index.keys), "idx"))
    if index.name() == plain:
        assert index.name(taken) not in taken


@given(indexes, indexes)
def test_two_indexes_have_two_names_unless_prisma_would_give_them_one(one: Index, other: Index) -> None:
    if one.body != other.body and one.name() == other.name():
        assert one.is_plain
        assert other.is_plain


def test_prisma_says_what_it_can_and_leaves_the_rest_to_a_migration() -> None:
    newest = Index("public", "Generation", (Key("organizationId"), Key("createdAt", descending=True)))
    assert newest.prisma() == "@@index([organizationId, createdAt(sort: Desc)])"
    assert newest.name() == "Generation_organizationId_createdAt_idx"
    blocks = Index("public", "Event", (Key("at"),), method="brin")
    assert blocks.prisma() == f'@@index([at], type: Brin, map: "{blocks.name()}")'
    letters = Index("public", "User", (Key("name", opclass="text_pattern_ops"),))
    assert letters.prisma() == f'@@index([name(ops: raw("text_pattern_ops"))], map: "{letters.name()}")'
    for unsayable in (
        Index("public", "User", (Key("name"),), include=("id",)),
        Index("public", "User", (Key("name"),), where=('"deletedAt" IS NULL',)),
        Index("public", "User", (Key(expression="lower(email)"),)),
        Index("public", "User", (Key("name", descending=True, nulls_first=False),)),
    ):
        assert unsayable.body in unsayable.prisma()
        assert "@@index" not in unsayable.prisma()


def test_a_name_that_is_taken_is_mapped_in_prisma() -> None:
    index = Index("public", "User", (Key("name"),))
    taken = frozenset({"User_name_idx"})
    assert index.name(taken) != "User_name_idx"
    assert f'map: "{index.name(taken)}"' in index.prisma(taken)
    assert index.name(taken) in index.ddl(taken)


@given(indexes)
def test_an_index_covers_itself_its_beginnings_and_the_same_read_backwards(index: Index) -> None:
    assert covers(index, index)
    for count in range(1, len(index.keys)):
        assert covers(index, Index(index.schema, index.table, index.keys[:count]))
    turned = Index(index.schema, index.table, tuple(key.turned for key in index.keys), index.include)
    assert covers(index, turned)
    assert covers(turned, index)


@given(indexes, keys)
def test_a_longer_index_is_covered_by_none_of_its_beginnings(index: Index, more: Key) -> None:
    if all(key.column != more.column for key in index.keys):
        assert not covers(index, Index(index.schema, index.table, (*index.keys, more)))
