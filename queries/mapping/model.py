"""What a mapping holds: tables, columns and values under our names, with theirs."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property

from queries.mapping.default import PRISMA, VALUES

# What stands for a generation's status where none is mapped, and for the type of a derived ledger's movements.
ASSUMED_STATUS, DERIVED_CHARGE = "succeeded", "CHARGE"

Values = dict[str, dict[str, tuple[str, ...]]]


@dataclass(frozen=True)
class TableMapping:
    """Where one logical table is: its schema, its name, and logical to physical column names, "" for one that there is
    not. With `select` its rows are those of this SELECT, whose columns have the logical names; `schemas` is the pattern
    of the schemas that it is asked in. `missing`: there is no such table. `note` is for who reads its figures."""

    schema: str
    name: str
    columns: dict[str, str]
    select: str | None = None
    schemas: str | None = None
    missing: bool = False
    note: str = ""

    @classmethod
    def of_select(
        cls, logical: str, select: str, given: tuple[str, ...], *, schemas: str | None = None, note: str = ""
    ) -> TableMapping:
        """A table that is a SELECT giving these columns."""
        name, columns = PRISMA[logical]
        return cls("public", name, {one: one if one in given else "" for one in columns}, select, schemas, note=note)

    @classmethod
    def of_nothing(cls, logical: str, *, note: str = "") -> TableMapping:
        """A table that there is not."""
        name, columns = PRISMA[logical]
        return cls("public", name, dict.fromkeys(columns, ""), missing=True, note=note)

    @property
    def is_derived(self) -> bool:
        """Whether it is anything else than one table of theirs with every column: then our names are its columns'."""
        return self.missing or self.select is not None or not all(self.columns.values())


@dataclass(frozen=True)
class Mapping:
    """All names and values; `digest` tells two mappings apart in cache keys."""

    tables: dict[str, TableMapping]
    values: Values

    @cached_property
    def digest(self) -> str:
        plain = {"tables": {k: _digested(v) for k, v in self.tables.items()}, "values": self.values}
        return hashlib.blake2b(json.dumps(plain, sort_keys=True).encode(), digest_size=6).hexdigest()

    def lacks(self, logical: str, column: str | None = None) -> bool:
        """Whether their database has no such table, or no such column of it."""
        one = self.tables[logical]
        return one.missing or (column is not None and not one.columns[column])

    @property
    def derives_ledger(self) -> bool:
        """Whether the ledger is made of what generations used, because there is none."""
        return self.lacks("credit_transaction") and not self.lacks("generation", "credits_used")

    @cached_property
    def meanings(self) -> Values:
        """The values as statements use them: those of the file, or ours where what they are values of is missing."""
        meant = dict(self.values)
        if self.lacks("generation", "status"):
            meant["generation_status"] = _only(meant["generation_status"], "succeeded", ASSUMED_STATUS)
        if self.derives_ledger:
            meant["transaction_type"] = _only(meant["transaction_type"], "burned", DERIVED_CHARGE)
        return meant

    def notes(self) -> list[str]:
        """What is missing and what that switches off, what is derived, and the file's own notes: sentences for the
        pages."""
        from queries.mapping.notes import notes_of  # which needs this module

        return notes_of(self)


def prisma_mapping() -> Mapping:
    """The default: Prisma's names in the schema public."""
    return Mapping({k: TableMapping("public", name, dict(c)) for k, (name, c) in PRISMA.items()}, dict(VALUES))


def _only(known: dict[str, tuple[str, ...]], one: str, value: str) -> dict[str, tuple[str, ...]]:
    return {**dict.fromkeys(known, ()), one: (value,)}


def _digested(one: TableMapping) -> list[object]:
    """What rows it gives; a note changes nothing."""
    plain: list[object] = [one.schema, one.name, one.columns]
    return plain if one.select is None and not one.missing else [*plain, one.select, one.schemas, one.missing]
