"""Questions of the tests' own."""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from dashboard.services import Services
from queries.query import Query
from queries.scope import Scope

MakeServices = Callable[..., Services]


def plain_query(name: str, statement: sa.Select[Any], scope: Scope | None = None, **options: Any) -> Query:
    """A question of a test's own."""
    return Query(
        name=name,
        scope=scope or Scope.all_tenants(),
        arguments={},
        build=lambda _tables: statement,
        key=options.pop("key", name),
        series=options.pop("series", name),
        **options,
    )
