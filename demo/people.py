"""The users of every tenant, and who else may spend its credits."""

from dataclasses import dataclass
from functools import cache
from typing import Final

from demo.tenants import PERSONAS, Persona, stable_id

_FIRST_NAMES: Final = """
Ada Amara Anders Anouk Aylin Bea Carlos Chidi Clara Dmitri Elif Emeka Esra Fatima Felix Freya Gita Hana Hiro Ines Ivo
Jakub Jana Joao Kaito Kofi Lena Liam Lucia Maya Mei Mateo Mila Nadia Nils Noor Olga Omar Paolo Priya Quinn Rafa Rosa
Samir Sana Sofia Tariq Tess Uma Viktor Wanja Xenia Yara Yuki Zane Zoe
"""
_LAST_NAMES: Final = """
Abara Almeida Andersen Bauer Berg Castro Chen Costa Dahl Diaz Eriksen Fischer Fontaine Garcia Gupta Haddad Hansen
Horvat Ito Ivanov Jensen Kaya Keller Khan Kim Kovacs Larsen Lopez Maier Marino Mensah Moreau Nakamura Nguyen Novak
Okafor Olsen Patel Pereira Popov Rahman Rossi Sato Schmid Silva Singh Suarez Tanaka Toure Vega Weber Yilmaz Zhang
"""
FIRST_NAMES: Final = tuple(_FIRST_NAMES.split())
LAST_NAMES: Final = tuple(_LAST_NAMES.split())

GUEST_EVERY: Final = 5
GUESTS: Final = 2


@dataclass(frozen=True, slots=True)
class Person:
    """One user; `home` is the position of their own organization in `PERSONAS`."""

    id: str
    home: int
    number: int
    name: str
    email: str

    @property
    def role(self) -> str:
        return "OWNER" if self.number == 0 else "ADMIN" if self.number % 8 == 1 else "MEMBER"


@cache
def users() -> tuple[Person, ...]:
    """Everyone, in the order of `PERSONAS`."""
    return tuple(
        _person(home, number, persona) for home, persona in enumerate(PERSONAS) for number in range(persona.people)
    )


@cache
def members() -> tuple[tuple[Person, ...], ...]:
    """Per tenant those who may spend its credits, busiest first; every fifth has guests of the tenant after it."""
    own = [tuple(person for person in users() if person.home == home) for home in range(len(PERSONAS))]
    return tuple(
        people + (own[home + 1][-GUESTS:] if home % GUEST_EVERY == 0 and home + 1 < len(own) else ())
        for home, people in enumerate(own)
    )


def _person(home: int, number: int, persona: Persona) -> Person:
    pick = int(stable_id("", persona.slug, number)[1:9], 16)
    first, last = FIRST_NAMES[pick % len(FIRST_NAMES)], LAST_NAMES[pick // 97 % len(LAST_NAMES)]
    email = f"{first}.{last}.{number + 1}@{persona.slug}.example".lower()
    return Person(stable_id("usr", persona.slug, number), home, number, f"{first} {last}", email)
