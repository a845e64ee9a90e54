"""What was found for one of our columns, and one of our tables put together from such finds."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

from queries.connect.shape import Field, Relation, quoted
from queries.mapping import TableMapping, prisma_mapping

Confidence = Literal["high", "medium", "low"]
CONFIDENCES: tuple[Confidence, ...] = ("high", "medium", "low")

PRISMA = prisma_mapping()
# The alias of the table that a SELECT begins with.
BASE = "t"
_COLUMN_BREAK = ",\n       "
_OWN = re.compile(rf"\b{BASE}\.(?=\")")


@dataclass(frozen=True, slots=True)
class Found:
    """One of our columns: as SQL, and the bare column when it is nothing more; why; how sure; of which of their columns
    a sample may be shown."""

    sql: str
    reason: str
    confidence: Confidence = "high"
    column: str | None = None
    shown: tuple[Relation, str] | None = None


@dataclass(slots=True)
class Join:
    """A table that a SELECT joins, by its alias."""

    alias: str
    relation: Relation
    on: str
    is_outer: bool = False

    def sql(self, place: str) -> str:
        return f"{'LEFT ' if self.is_outer else ''}JOIN {place} AS {self.alias} ON {self.on}"


@dataclass(slots=True)
class Draft:
    """One of our tables as it is being put together from one of theirs."""

    logical: str
    relation: Relation
    reason: str
    confidence: Confidence = "high"
    columns: dict[str, Found] = field(default_factory=dict)
    joins: list[Join] = field(default_factory=list)
    where: list[str] = field(default_factory=list)
    distinct_on: str = ""
    order: str = ""
    group: str = ""
    notes: list[str] = field(default_factory=list)
    # The schemas of tenants, and the pattern of their names.
    family: frozenset[str] = frozenset()
    pattern: str | None = None
    # Further SELECTs whose rows are added, for events in several tables.
    united: list[Draft] = field(default_factory=list)

    @property
    def is_plain(self) -> bool:
        """Whether names alone say it: columns as they are, each once, of one table, every row."""
        bare = [one.column for one in self.columns.values()]
        adorned = self.joins or self.where or self.distinct_on or self.group or self.united or self.pattern
        return not adorned and None not in bare and len(set(bare)) == len(bare)

    def mapping(self, *, by_names: bool = True) -> TableMapping:
        """Names where names are enough, else a SELECT."""
        note = "; ".join(self.notes)
        if not (by_names and self.is_plain):
            wanted = tuple(self._order())
            return TableMapping.of_select(self.logical, self.select(), wanted, schemas=self.pattern, note=note)
        columns = dict.fromkeys(PRISMA.tables[self.logical].columns, "")
        columns |= {logical: found.column or "" for logical, found in self.columns.items()}
        return TableMapping(self.relation.schema, self.relation.name, columns, note=note)

    def select(self) -> str:
        """The SELECT whose output columns have our names; where it is read in several schemas, {schema} stands for
        each."""
        return "\nUNION ALL\n".join(one._own(self._order()) for one in (self, *self.united))

    def _order(self) -> list[str]:
        return [one for one in PRISMA.tables[self.logical].columns if one in self.columns]

    def _own(self, wanted: list[str]) -> str:
        distinct = f"DISTINCT ON ({self.distinct_on}) " if self.distinct_on else ""
        shown = [f"{self.columns[one].sql} AS {_output(one)}" for one in wanted]
        lines = [f"SELECT {distinct}{_COLUMN_BREAK.join(shown)}", f"FROM {self._place(self.relation)} AS {BASE}"]
        lines += [one.sql(self._place(one.relation)) for one in self.joins]
        lines += [f"WHERE {' AND '.join(self.where)}"] if self.where else []
        lines += [f"GROUP BY {self.group}"] if self.group else []
        lines += [f"ORDER BY {self.order}"] if self.order else []
        return "\n".join(lines)

    def reads(self, relation: Relation) -> bool:
        """Whether the SELECT names the table anywhere."""
        return self._place(relation) in self.select()

    def columns_of(self, relation: Relation) -> set[str]:
        """The columns of the table that the SELECT names anywhere."""
        place, found = re.escape(self._place(relation)), set()
        for part in (self, *self.united):
            select = part._own(self._order())
            for alias in re.findall(rf"{place} AS (\w+)", select):
                found |= {one.name for one in relation.fields if column_sql(one.name, alias) in select}
        return found

    @property
    def place(self) -> str:
        """The table itself as the SELECT names it."""
        return self._place(self.relation)

    def _place(self, relation: Relation) -> str:
        """The table; one of the tenants' schemas in whichever the SELECT is read for."""
        return "{schema}." + quoted(relation.name) if relation.schema in self.family else relation.sql


def _output(name: str) -> str:
    """Our name after AS; PostgreSQL takes every name there but a few, which are quoted."""
    return quoted(name) if name in ("limit", "user") else name


def column_sql(name: str, alias: str = BASE) -> str:
    return f"{alias}.{quoted(name)}"


def of_sample(sql: str) -> str:
    """An expression over the table itself, as one over the rows that are looked at."""
    return _OWN.sub("seen.", sql)


def bare(relation: Relation, column: Field, reason: str, confidence: Confidence = "high") -> Found:
    """A column of the table itself, as it is."""
    return Found(column_sql(column.name), reason, confidence, column.name, (relation, column.name))


def weaker(*confidences: Confidence) -> Confidence:
    """The least sure of them."""
    return max(confidences, key=CONFIDENCES.index)
