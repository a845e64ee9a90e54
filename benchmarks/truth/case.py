"""What a statement of the suite is: its text, its values for each kind of tenant, and what a person would try."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.truth.ground import KINDS, Tenant, TenantKind

Values = tuple[Any, ...]

# The answers that mean: build nothing.
NO_INDEX = frozenset({"none", "pre_aggregate", "rewrite", "analyze"})


@dataclass(frozen=True, slots=True)
class Candidate:
    """Indexes to build together (each as after CREATE INDEX ON), and the statement rewritten, where that is the cure.

    `values` are those of the rewritten statement, when it takes others.
    """

    indexes: tuple[str, ...]
    sql: str | None = None
    values: Callable[[Values], Values] = lambda given: given


@dataclass(frozen=True, slots=True)
class Case:
    """A statement, `$1` and on from `values(tenant)`; or without parameters.

    `verdicts` are the answers that are right; where create_index is not among them, advising one is a false positive.
    `constants` are the numbers of parameters that the code always sends alike.
    """

    name: str
    category: str
    sql: str
    values: Callable[[Tenant], Values]
    candidates: tuple[Candidate, ...]
    verdicts: frozenset[str] = frozenset({"create_index"})
    constants: frozenset[int] = frozenset()
    calls_per_day: float = 5_000.0

    def parameters(self, tenants: Mapping[TenantKind, Tenant]) -> dict[TenantKind, Values]:
        """Its values for each kind of tenant; for one only, when they are the same for all."""
        found = {kind: self.values(tenants[kind]) for kind in KINDS}
        alike = all(values == found["median"] for values in found.values())
        return {"median": found["median"]} if alike else found


def nothing(_: Tenant) -> Values:
    """The values of a statement without parameters."""
    return ()


def of_tenant(*others: Any) -> Callable[[Tenant], Values]:
    """The tenant's id, then the same for all."""
    return lambda tenant: (tenant.id, *others)


def of_user(*others: Any) -> Callable[[Tenant], Values]:
    """The id of the tenant's busiest user, then the same for all."""
    return lambda tenant: (tenant.user_id, *others)


def always(*values: Any) -> Callable[[Tenant], Values]:
    """The same for all tenants."""
    return lambda _: values


def one_of(*indexes: str) -> tuple[Candidate, ...]:
    """Candidates of one index each."""
    return tuple(Candidate((one,)) for one in indexes)
