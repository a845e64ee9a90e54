"""Who may do what: rules that give a role, and tenants, to an address, a domain or a group; and whom they match.

A person has every role that a rule gives them, each with its own tenants. What a role allows is the dashboard's
business (`dashboard/viewer.py`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, get_args

from queries.emails import email_address, mail_domain
from queries.errors import ArgumentError
from queries.scope import Scope, is_storable

Role = Literal["account_manager", "engineer", "finance", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)
Kind = Literal["email", "domain", "group"]
KINDS: tuple[Kind, ...] = get_args(Kind)

READS_PROMPTS: frozenset[Role] = frozenset({"account_manager", "admin"})
"""The roles that may be given prompts and images; nobody has them without being given them."""
# Whoever has a free mailbox there would have the role.
PUBLIC_DOMAINS = frozenset(
    (
        *("gmail.com", "googlemail.com", "outlook.com", "hotmail.com", "live.com", "msn.com", "yahoo.com", "aol.com"),
        *("icloud.com", "me.com", "proton.me", "protonmail.com", "gmx.de", "gmx.net", "web.de", "mail.ru", "qq.com"),
    )
)
LONGEST_GROUP, MOST_TENANTS = 200, 2_000


@dataclass(frozen=True, slots=True)
class Rule:
    """Gives a role to whom it matches. `tenants` None: all of them. `id` is None for one that no table holds."""

    kind: Kind
    subject: str
    role: Role
    tenants: tuple[str, ...] | None = None
    may_read_prompts: bool = False
    id: int | None = field(default=None, compare=False)
    created_at: datetime | None = field(default=None, compare=False)
    created_by: str = field(default="", compare=False)

    @property
    def grant(self) -> Grant:
        scope = Scope.all_tenants() if self.tenants is None else Scope.of(self.tenants)
        return Grant(self.role, scope, self.may_read_prompts and self.role in READS_PROMPTS)


@dataclass(frozen=True, slots=True)
class Grant:
    """One role of a person, and the tenants that they have it for."""

    role: Role
    scope: Scope
    may_read_prompts: bool = False


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody who has signed in: `key` is theirs at every sign-in, `sign_in` of this very one, which ends at `until`
    (seconds since 1970; None when it does not end by itself). `email` is empty without a verified address."""

    key: str
    email: str
    groups: frozenset[str] = frozenset()
    sign_in: str = ""
    until: float | None = None

    @property
    def name(self) -> str:
        """What they are called in registers and logs: nobody else is called the same, and nobody chooses it."""
        return self.email or self.key

    @property
    def digest(self) -> str:
        """What stands for this person at this sign-in in a link; neither can be told from it."""
        return hashlib.blake2b(f"{self.key}\n{self.sign_in}".encode(), digest_size=12).hexdigest()


def checked(
    *, kind: str, subject: str, role: str, tenants: Iterable[str] | None = None, may_read_prompts: bool = False
) -> Rule:
    """The rule as it is kept; ArgumentError for one that cannot be."""
    known_kind = next((one for one in KINDS if one == kind), None)
    if known_kind is None:
        raise ArgumentError(f"{_shown(kind)} is no kind of rule; use one of {', '.join(KINDS)}")
    known_role = next((one for one in ROLES if one == role), None)
    if known_role is None:
        raise ArgumentError(f"{_shown(role)} is no role; use one of {', '.join(ROLES)}")
    if may_read_prompts and known_role not in READS_PROMPTS:
        raise ArgumentError("prompts can be given to account managers and administrators only; leave them out")
    return Rule(
        known_kind, _subject(known_kind, subject), known_role, _tenants(known_role, tenants), bool(may_read_prompts)
    )


def matching(rules: Iterable[Rule], who: Identity) -> list[Rule]:
    """The rules that match this person."""
    domain = who.email.rpartition("@")[2]
    return [
        one
        for one in rules
        if (one.kind == "email" and one.subject == who.email)
        or (one.kind == "domain" and one.subject == domain)
        or (one.kind == "group" and one.subject in who.groups)
    ]


def united(scopes: Iterable[Scope]) -> Scope:
    """The tenants of any of these."""
    listed = list(scopes)
    if any(one.is_all for one in listed):
        return Scope.all_tenants()
    return listed[0] if len(listed) == 1 else Scope.of(tenant for one in listed for tenant in one.ordered_ids)


def first_administrators(emails: Iterable[str]) -> list[Rule]:
    """The rules of ADMIN_EMAILS: administrators who have not been given prompts."""
    return [Rule("email", one, "admin", created_by="ADMIN_EMAILS") for one in emails]


def read_rules(document: Mapping[str, Any]) -> list[Rule]:
    """The rules of a parsed file: tables `[[access]]`, each with one of `email`, `domain` or `group`, a `role`, and
    perhaps `tenants` and `may_read_prompts`. ArgumentError names the entry and what is wrong with it."""
    entries = document.get("access", [])
    if set(document) - {"access"} or not isinstance(entries, Sequence) or isinstance(entries, str):
        raise ArgumentError("the file holds something else than tables [[access]]; leave it out")
    return [_entry(number, one) for number, one in enumerate(entries, start=1)]


def _entry(number: int, entry: Any) -> Rule:
    try:
        if not isinstance(entry, Mapping):
            raise ArgumentError("it is no table; write [[access]] above it")
        kinds = [one for one in KINDS if one in entry]
        unknown = set(entry) - {*KINDS, "role", "tenants", "may_read_prompts"}
        if unknown:
            raise ArgumentError(f"{_shown(min(unknown))} is not known; use email, domain, group, role, tenants and"
                                " may_read_prompts")  # fmt: skip
        if len(kinds) != 1:
            raise ArgumentError("it has none or several of email, domain and group; name one")
        prompts, tenants = entry.get("may_read_prompts", False), entry.get("tenants")
        if not isinstance(prompts, bool):
            raise ArgumentError("may_read_prompts is true or false")
        if tenants is not None and not (isinstance(tenants, list) and all(isinstance(one, str) for one in tenants)):
            raise ArgumentError("tenants is a list of ids, as texts; leave it out for all tenants")
        subject, role = entry[kinds[0]], entry.get("role", "")
        if not isinstance(subject, str) or not isinstance(role, str):
            raise ArgumentError(f"{kinds[0]} and role are texts")
        return checked(kind=kinds[0], subject=subject, role=role, tenants=tenants, may_read_prompts=prompts)
    except ArgumentError as error:
        raise ArgumentError(f"entry {number} of [[access]]: {error.message}") from None


def _subject(kind: Kind, text: str) -> str:
    stripped = text.strip()
    if kind == "group":
        if not stripped or len(stripped) > LONGEST_GROUP or not is_storable(stripped) or not stripped.isprintable():
            raise ArgumentError(f"a group is a name of 1 to {LONGEST_GROUP} characters; write it as the claim has it")
        return stripped
    found = email_address(stripped) if kind == "email" else mail_domain(stripped.removeprefix("@"))
    if found is None:
        like = "ada@example.com" if kind == "email" else "example.com"
        raise ArgumentError(
            f"{_shown(text)} is not accepted; write it like {like}, in ASCII letters: others may only look the same"
        )
    if found in PUBLIC_DOMAINS:
        raise ArgumentError(
            f"{found} gives a mailbox to everybody, who would all have the role; name addresses instead"
        )
    return found


def _tenants(role: Role, tenants: Iterable[str] | None) -> tuple[str, ...] | None:
    if tenants is None:
        return None
    if role == "admin":
        raise ArgumentError("an administrator gives access to all tenants, so has them; leave the tenants out")
    ids = tuple(sorted({one.strip() for one in tenants}))
    if not ids:
        raise ArgumentError("no tenant is named; name some, or give the role for all tenants")
    if len(ids) > MOST_TENANTS:
        raise ArgumentError(f"{len(ids):,} tenants are named; name at most {MOST_TENANTS:,}, or give all")
    if bad := [one for one in ids if not one or len(one) > LONGEST_GROUP or not is_storable(one)]:
        raise ArgumentError(f"{_shown(bad[0])} is no tenant's id; choose one from the list")
    return ids


def _shown(text: object) -> str:
    return repr(str(text)[:60])
