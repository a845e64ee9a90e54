"""Exact sums and the ledger's figures, as expressions. No float: integers sum to bigint, NUMERIC to NUMERIC."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from queries.tables import Tables

Column = sa.ColumnElement[Any]


def counted(condition: sa.ColumnElement[bool] | None = None) -> Column:
    """How many rows of the group meet the condition."""
    count = sa.func.count()
    return count if condition is None else count.filter(condition)


def summed(column: Column, condition: sa.ColumnElement[bool] | None = None) -> Column:
    """The sum over the rows that meet the condition; 0 where there are none."""
    total = sa.func.sum(column)
    return sa.func.coalesce(total if condition is None else total.filter(condition), 0, type_=exact(column))


def summed_again(column: Column, condition: sa.ColumnElement[bool] | None = None) -> Column:
    """The sum of sums, 0 where there are none. PostgreSQL makes NUMERIC of a sum of bigint; whole numbers are brought
    back."""
    total = sa.func.sum(column)
    return sa.cast(sa.func.coalesce(total if condition is None else total.filter(condition), 0), exact(column))


def exact(column: Column) -> sa.types.TypeEngine[Any]:
    """The type of a sum of this column."""
    return sa.BigInteger() if isinstance(column.type, sa.Integer) else sa.Numeric()


def text(column: Column) -> Column:
    """The column for the select list as text: ids of any type and enums look the same to every reader."""
    return column if isinstance(column.type, sa.Text) else sa.cast(column, sa.Text)


def burned_credits(tables: Tables, condition: sa.ColumnElement[bool] | None = None) -> Column:
    """Gross burn of the ledger: its charges, which are negative amounts, as a positive number."""
    return summed(-tables.credit_transaction.c.amount, _posted(tables, condition, "burned"))


def refunded_credits(tables: Tables, condition: sa.ColumnElement[bool] | None = None) -> Column:
    """What the ledger gave back."""
    return summed(tables.credit_transaction.c.amount, _posted(tables, condition, "refunded"))


def net_burn_credits(tables: Tables, condition: sa.ColumnElement[bool] | None = None) -> Column:
    """Gross burn minus refunds: charges are negative and refunds positive amounts."""
    return summed(-tables.credit_transaction.c.amount, _posted(tables, condition, "burned", "refunded"))


def is_burn(tables: Tables) -> sa.ColumnElement[bool]:
    """The rows of the ledger that make up the net burn."""
    return tables.has(tables.credit_transaction.c.type, "transaction_type", "burned", "refunded")


def _posted(tables: Tables, condition: sa.ColumnElement[bool] | None, *logical: str) -> sa.ColumnElement[bool]:
    of_type = tables.has(tables.credit_transaction.c.type, "transaction_type", *logical)
    return of_type if condition is None else sa.and_(of_type, condition)
