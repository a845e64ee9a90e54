"""A look at the same table of several schemas: a status that one tenant never had may be another's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from queries.connect.samples import Counts, Peek
from queries.connect.shape import Relation

MOST_SCHEMAS = 50


class OverSchemas:
    """Common values are those of all schemas together; numbers and samples those of the first that has any."""

    def __init__(self, peek: Peek, schemas: tuple[str, ...]) -> None:
        self._peek, self._schemas = peek, schemas

    def common(self, relation: Relation, column: str) -> Counts:
        counted: Counter[str] = Counter()
        for one in self._each(relation):
            counted.update(dict(self._peek.common(one, column)))
        return tuple(sorted(counted.items(), key=lambda one: (-one[1], one[0])))

    def facts(self, relation: Relation, wanted: Mapping[str, str], *, where: str = "true") -> dict[str, Any]:
        found: dict[str, Any] = {}
        for one in self._each(relation):
            found = self._peek.facts(one, wanted, where=where)
            if found.get("rows", 1) and any(value is not None for value in found.values()):
                return found
        return found

    def first(self, relation: Relation, column: str) -> str:
        return next((found for one in self._each(relation) if (found := self._peek.first(one, column))), "")

    def _each(self, relation: Relation) -> list[Relation]:
        if relation.schema not in self._schemas:
            return [relation]
        return [replace(relation, schema=one) for one in self._schemas[:MOST_SCHEMAS]]
