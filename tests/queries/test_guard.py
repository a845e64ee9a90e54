"""Statements that leave a tenant-keyed table unheld are refused, however they hide it."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.sql import visitors

from queries.errors import UnscopedStatementError
from queries.guard import _elements, _final_froms, refuse_unscoped
from queries.mapping import Mapping, TableMapping, prisma_mapping
from queries.scope import Scope
from queries.tables import default_history, default_tables, facts

TABLES = default_tables()
HISTORY = default_history()
G, O, I = facts(TABLES), TABLES.organization, TABLES.image  # noqa: E741 - a table each
SCOPE = Scope.of(["a", "b"])
ALIAS = G.alias()
HELD_G, HELD_O = SCOPE.predicate(G.c.tenant_id), SCOPE.predicate(O.c.tenant_id)
JOINED = G.c.tenant_id == O.c.tenant_id


def inner(*where: Any) -> sa.Select[Any]:
    return sa.select(G.c.tenant_id, sa.func.count().label("n")).where(*where).group_by(G.c.tenant_id)


HELD: dict[str, Callable[[], Any]] = {
    "a predicate": lambda: sa.select(G.c.id).where(HELD_G),
    "among other terms": lambda: sa.select(G.c.id).where(G.c.prompt == "x", sa.and_(HELD_G, G.c.model == "m")),
    "an alias": lambda: sa.select(ALIAS.c.id).where(SCOPE.predicate(ALIAS.c.tenant_id)),
    "fewer tenants than the scope": lambda: sa.select(G.c.id).where(Scope.of(["a"]).predicate(G.c.tenant_id)),
    "no tenant at all": lambda: sa.select(G.c.id).where(Scope.of([]).predicate(G.c.tenant_id)),
    "a CTE": lambda: sa.select(inner(HELD_G).cte("x")),
    "a subquery": lambda: sa.select(inner(HELD_G).subquery()),
    "both sides of a join": lambda: sa.select(O.c.name, G.c.id).select_from(O.join(G, JOINED)).where(HELD_G, HELD_O),
    "the ON of an inner join": lambda: sa.select(O.c.name).select_from(O.join(G, sa.and_(JOINED, HELD_G, HELD_O))),
    "the ON of an outer join, for its inner side": lambda: (
        sa.select(O.c.name).select_from(O.outerjoin(G, sa.and_(JOINED, HELD_G))).where(HELD_O)
    ),
    "a join on the right of a join": lambda: (
        sa.select(O.c.name).select_from(O.join(G.join(I, SCOPE.predicate(I.c.tenant_id)), JOINED)).where(HELD_O, HELD_G)
    ),
    "an operator of symbols": lambda: sa.select(O.c.name.op("<->")("x")).where(HELD_O),
    "a field of a time": lambda: sa.select(sa.extract("epoch", O.c.created_at)).where(HELD_O),
    "a union": lambda: sa.union_all(sa.select(O.c.name).where(HELD_O), sa.select(G.c.id).where(HELD_G)),
    "an EXISTS": lambda: sa.select(O.c.name).where(HELD_O, sa.exists(sa.select(1).select_from(G).where(HELD_G))),
    "no table": lambda: sa.select(sa.func.now()),
    "a table of ours without a tenant": lambda: sa.select(HISTORY.closed_month.c.month),
}

LEAKS: dict[str, Callable[[], Any]] = {
    "no predicate": lambda: sa.select(G.c.id),
    "a table of ours with tenants": lambda: sa.select(HISTORY.closed_statement.c.closing),
    "one beside a table without a tenant": lambda: sa.select(
        HISTORY.closed_month.c.month, HISTORY.correction.c.credits
    ),
    "an equality with a literal": lambda: sa.select(G.c.id).where(G.c.tenant_id == "a"),
    "another scope": lambda: sa.select(G.c.id).where(Scope.of(["a", "z"]).predicate(G.c.tenant_id)),
    "one branch of an OR": lambda: sa.select(G.c.id).where(sa.or_(HELD_G, G.c.prompt == "x")),
    "a NOT": lambda: sa.select(G.c.id).where(~HELD_G),
    "the predicate of another alias": lambda: sa.select(ALIAS.c.id).where(HELD_G),
    "an unheld CTE": lambda: sa.select(inner().cte("x")),
    "an unheld CTE behind a held select": lambda: sa.select(O.c.name, inner().cte("x").c.n).where(HELD_O),
    "an unheld scalar subquery": lambda: sa.select(
        O.c.name, sa.select(sa.func.count()).select_from(G).scalar_subquery()
    ).where(HELD_O),
    "an unheld EXISTS": lambda: sa.select(O.c.name).where(HELD_O, sa.exists().where(JOINED)),
    "one side of a join": lambda: sa.select(O.c.name).select_from(O.join(G, JOINED)).where(HELD_O),
    "the ON of an outer join, for its outer side": lambda: sa.select(O.c.name).select_from(
        O.outerjoin(G, sa.and_(JOINED, HELD_G, HELD_O))
    ),
    "the ON of a full join": lambda: sa.select(O.c.name).select_from(O.join(G, sa.and_(HELD_G, HELD_O), full=True)),
    "a join on the right of a join": lambda: (
        sa.select(O.c.name).select_from(O.join(G.join(I, I.c.generation_id == G.c.id), sa.true())).where(HELD_O)
    ),
    "the outer join on the right of a join": lambda: (
        sa.select(O.c.name)
        .select_from(O.join(G.outerjoin(I, sa.and_(I.c.generation_id == G.c.id, HELD_G)), sa.true()))
        .where(HELD_O)
    ),
    "a join with a name": lambda: sa.select(sa.alias(O.join(G, sa.true()))),
    "one half of a union": lambda: sa.union_all(sa.select(O.c.name).where(HELD_O), sa.select(G.c.id)),
    "a lateral": lambda: sa.select(sa.select(G.c.id).lateral().c.id),
    "a sample": lambda: sa.select(sa.tablesample(G, 10).c.id),
    "a HAVING only": lambda: sa.select(sa.func.count()).select_from(G).group_by(G.c.tenant_id).having(HELD_G),
    "an unheld table in ORDER BY": lambda: (
        sa.select(O.c.name).where(HELD_O).order_by(sa.select(sa.func.max(G.c.prompt)).scalar_subquery())
    ),
}

HIDDEN: dict[str, Callable[[], Any]] = {
    "text": lambda: sa.text('SELECT * FROM "Generation"'),
    "text inside": lambda: sa.select(sa.text('* FROM "Generation"')),
    "a literal column": lambda: sa.select(sa.literal_column('(SELECT count(*) FROM "Generation")')),
    "an unmapped table": lambda: sa.select(sa.table("Generation", sa.column("id"))),
    "a table of one's own making": lambda: sa.select(sa.Table("Generation", sa.MetaData(), sa.Column("id", sa.Text))),
    "a prefix": lambda: sa.select(O.c.name).where(HELD_O).prefix_with('(SELECT prompt FROM "Generation"),'),
    "a suffix": lambda: sa.select(O.c.name).where(HELD_O).suffix_with('UNION ALL SELECT prompt FROM "Generation"'),
    "the suffix of a CTE": lambda: sa.select(sa.select(O.c.name).where(HELD_O).cte("x").suffix_with("CYCLE")),
    "a hint": lambda: sa.select(O.c.name).where(HELD_O).with_statement_hint('UNION ALL SELECT 1 FROM "Generation"'),
    "an operator": lambda: sa.select(O.c.name.op('|| (SELECT max(prompt) FROM "Generation") ||')("")).where(HELD_O),
    "an operator that is a comment": lambda: sa.select(O.c.name.op("--")("")).where(HELD_O),
    "a field of a time": lambda: sa.select(sa.extract('epoch FROM (SELECT 1 FROM "Generation")', O.c.created_at)),
    "a function that runs text": lambda: sa.select(sa.func.query_to_xml('SELECT * FROM "Generation"', True, True, "")),
    "a function that names tenants": lambda: sa.select(sa.func.set_config("usage_dashboard.tenants", "all", True)),
    "an update": lambda: sa.update(G).values(prompt="x"),
    "a deleting CTE": lambda: sa.select(sa.delete(G).returning(G.c.id).cte("gone")),
}


@pytest.mark.parametrize("name", HELD)
def test_a_held_statement_passes(name: str) -> None:
    refuse_unscoped(HELD[name](), SCOPE)


@pytest.mark.parametrize("name", [*LEAKS, *HIDDEN])
def test_an_unheld_statement_is_refused(name: str) -> None:
    with pytest.raises(UnscopedStatementError):
        refuse_unscoped({**LEAKS, **HIDDEN}[name](), SCOPE)


@pytest.mark.parametrize("name", HIDDEN)
def test_what_hides_a_table_is_refused_for_all_tenants_too(name: str) -> None:
    with pytest.raises(UnscopedStatementError):
        refuse_unscoped(HIDDEN[name](), Scope.all_tenants())


@pytest.mark.parametrize("name", [*HELD, *LEAKS])
def test_the_froms_are_those_that_sqlalchemy_renders(name: str) -> None:
    statement = {**HELD, **LEAKS}[name]()
    selects = [one for one in _elements(statement) if isinstance(one, sa.Select)]
    assert selects
    assert [_final_froms(one) for one in selects] == [list(one.get_final_froms()) for one in selects]


def test_every_element_is_walked() -> None:
    for build in (*HELD.values(), *LEAKS.values()):
        statement = build()
        assert {id(one) for one in _elements(statement)} >= {id(one) for one in visitors.iterate(statement)}


def test_a_derived_table_is_held_like_any_other() -> None:
    base = prisma_mapping()
    select = "SELECT j.id, p.team AS tenant_id, j.at AS created_at FROM job AS j JOIN project AS p ON p.id = j.project"
    one = TableMapping.of_select("generation", select, ("id", "tenant_id", "created_at"))
    derived = default_tables(Mapping({**base.tables, "generation": one}, base.values)).generation
    alias = derived.alias()
    for rows in (derived, alias):
        held = sa.select(rows.c.id).where(SCOPE.predicate(rows.c.tenant_id))
        refuse_unscoped(held, SCOPE)
        assert f"{select}\n" in str(held)
        for leak in (sa.select(rows.c.id), sa.select(sa.exists(sa.select(1).select_from(rows)))):
            with pytest.raises(UnscopedStatementError, match="app_generation"):
                refuse_unscoped(leak, SCOPE)
    with pytest.raises(UnscopedStatementError):
        refuse_unscoped(sa.select(derived.c.id, alias.c.id).where(SCOPE.predicate(derived.c.tenant_id)), SCOPE)
