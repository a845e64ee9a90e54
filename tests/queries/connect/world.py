"""A small application as plain facts, before anybody puts them into tables: who made what, and which credits moved.

Every schema of the suite holds these same facts in its own way, and what the dashboard says of it is recounted from
them in plain Python.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache

NOW = datetime(2026, 6, 15, 10, 30, tzinfo=UTC)
DAYS = 45
MODELS = ("flux-dev", "sdxl", "veo-lite")
KINDS = ("image", "video")
STATUSES = ("succeeded", "failed", "cancelled", "unfinished")
ERRORS = ("out of memory", "the prompt was refused")


@dataclass(frozen=True)
class Tenant:
    number: int
    name: str
    created_at: datetime


@dataclass(frozen=True)
class Person:
    number: int
    tenant: int
    name: str
    email: str
    created_at: datetime


@dataclass(frozen=True)
class Generation:
    number: int
    tenant: int
    person: int
    project: int
    kind: str
    model: str
    status: str
    credits: int
    duration_ms: int | None
    prompt: str
    error: str | None
    created_at: datetime
    completed_at: datetime | None
    is_deleted: bool


@dataclass(frozen=True)
class Movement:
    number: int
    tenant: int
    person: int | None
    generation: int | None
    kind: str
    amount: int
    price: Decimal | None
    at: datetime


@dataclass(frozen=True)
class Quota:
    tenant: int
    kind: str
    day: date
    count: int
    limit: int


@dataclass(frozen=True)
class World:
    tenants: tuple[Tenant, ...]
    people: tuple[Person, ...]
    generations: tuple[Generation, ...]
    movements: tuple[Movement, ...]
    quotas: tuple[Quota, ...]

    def balance(self, tenant: int) -> int:
        return sum(one.amount for one in self.movements if one.tenant == tenant)

    def by_person(self) -> "World":
        """The same when everybody pays for themselves: each person is a tenant."""
        tenants = tuple(Tenant(one.number, one.name, one.created_at) for one in self.people)
        first = {one.tenant: one.number for one in reversed(self.people)}
        return replace(
            self,
            tenants=tenants,
            people=tuple(replace(one, tenant=one.number) for one in self.people),
            generations=tuple(replace(one, tenant=one.person) for one in self.generations),
            movements=tuple(
                replace(one, tenant=one.person or first[one.tenant], person=one.person or first[one.tenant])
                for one in self.movements
            ),
            quotas=tuple(replace(one, tenant=first[one.tenant]) for one in self.quotas),
        )


@cache
def world() -> World:
    """The facts; the same each time."""
    chance = random.Random(20260615)
    start = NOW - timedelta(days=DAYS)
    tenants = tuple(
        Tenant(number, name, start - timedelta(days=30 - number))
        for number, name in enumerate(("Acorn Studio", "Birch & Sons", "Cedar 'n' Co", "Delta GmbH"), 1)
    )
    people = tuple(
        Person(number, 1 + number % 4, f"Person {number}", f"person{number}@example.org", start - timedelta(days=20))
        for number in range(1, 12)
    )
    generations = tuple(sorted(_generations(chance, people, start), key=lambda one: one.created_at))
    movements = tuple(_movements(chance, tenants, generations, start))
    quotas = tuple(
        Quota(tenant.number, kind, (NOW - timedelta(days=ago)).date(), chance.randrange(12), 10)
        for tenant in tenants
        for kind in KINDS
        for ago in range(20)
    )
    return World(tenants, people, generations, movements, quotas)


def _generations(chance: random.Random, people: tuple[Person, ...], start: datetime) -> Iterator[Generation]:
    for number in range(1, 401):
        person = chance.choice(people)
        at = start + timedelta(seconds=chance.randrange(DAYS * 86_400))
        kind = chance.choices(KINDS, (4, 1))[0]
        status = chance.choices(STATUSES, (86, 8, 3, 3))[0]
        took = chance.randrange(1_500, 30_000) if status in ("succeeded", "failed") else None
        yield Generation(
            number=number,
            tenant=person.tenant,
            person=person.number,
            project=10 * person.tenant + number % 3,
            kind=kind,
            model=chance.choice(MODELS),
            status=status,
            credits=chance.choice((1, 2, 4)) if kind == "image" else 10,
            duration_ms=took,
            prompt=f"a lighthouse number {number}, 'oil' on canvas % {{x}}",
            error=chance.choice(ERRORS) if status == "failed" else None,
            created_at=at,
            completed_at=at + timedelta(milliseconds=took) if took is not None else None,
            is_deleted=chance.random() < 0.1,
        )


def _movements(
    chance: random.Random, tenants: tuple[Tenant, ...], generations: tuple[Generation, ...], start: datetime
) -> Iterator[Movement]:
    found: list[tuple[datetime, int, int | None, int | None, str, int, Decimal | None]] = []
    for tenant in tenants:
        found.append((start - timedelta(hours=1), tenant.number, None, None, "granted", 500, None))
        for _ in range(3):
            at = start + timedelta(seconds=chance.randrange(DAYS * 86_400))
            found.append((at, tenant.number, None, None, "purchased", 100, Decimal("19.90")))
    for one in generations:
        found.append((one.created_at, one.tenant, one.person, one.number, "burned", -one.credits, None))
        if one.status == "failed":
            at = min(NOW - timedelta(seconds=1), one.created_at + timedelta(minutes=2))
            found.append((at, one.tenant, one.person, one.number, "refunded", one.credits, None))
    for number, (at, tenant_, person, generation, kind, amount, price) in enumerate(sorted(found, key=str), 1):
        yield Movement(number, tenant_, person, generation, kind, amount, price, at)
