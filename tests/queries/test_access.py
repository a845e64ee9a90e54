"""Rules: whom they match, what they give, and what cannot be one."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queries.access import (
    READS_PROMPTS,
    ROLES,
    Identity,
    Rule,
    checked,
    first_administrators,
    matching,
    read_rules,
    united,
)
from queries.emails import email_address, mail_domain
from queries.errors import ArgumentError
from queries.scope import Scope

ADA = Identity("id:default:1", "ada@example.com", frozenset({"finance-team"}), "s")
LOCAL = st.text(string.ascii_lowercase + string.digits + "._+-", min_size=1, max_size=30)
LABEL = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=20)
DOMAINS = st.lists(LABEL, min_size=2, max_size=4).map(".".join)


@given(local=LOCAL, domain=DOMAINS, flips=st.lists(st.booleans(), max_size=80))
def test_an_address_is_the_same_in_any_case(local: str, domain: str, flips: list[bool]) -> None:
    address = f"{local}@{domain}"
    mixed = "".join(c.upper() if i < len(flips) and flips[i] else c for i, c in enumerate(address))
    assert email_address(mixed) == email_address(address) == address
    assert mail_domain(domain.upper()) == domain


@given(address=st.builds("{}@{}".format, LOCAL, DOMAINS), at=st.integers(0, 200), put=st.characters(min_codepoint=128))
def test_what_holds_anything_beyond_ascii_is_no_address(address: str, at: int, put: str) -> None:
    """Also what Python's own folding would make an ASCII letter of."""
    at %= len(address)
    assert email_address(address[:at] + put + address[at + 1 :]) is None
    assert email_address(address[:at] + put + address[at:]) is None


@pytest.mark.parametrize(
    "text",
    [
        *("", "@", "ada", "ada@", "@example.com", "ada@example", "ada@@example.com", "ada@example.com@evil.org"),
        *("ada@example.com ", " ada@example.com", "ada@example.com\n", "ada\x00@example.com", '"a b"@example.com'),
        *("ada@example.com.", "ada@-example.com", "ada@exa mple.com", "ada:x@example.com", "ada@[127.0.0.1]"),
        *("ada@boo\u212aS.com", "ada@\u017ftrasse.com", "ada@ex\u0430mple.com", "ada@example\u3002com"),
        None, 7, ["ada@example.com"], "a" * 65 + "@example.com", "a@" + "b." * 130 + "com",
    ],
)  # fmt: skip
def test_what_is_no_address(text: object) -> None:
    assert email_address(text) is None


@given(one=DOMAINS, other=DOMAINS)
def test_a_domain_matches_itself_only(one: str, other: str) -> None:
    rule = Rule("domain", one, "engineer")
    assert bool(matching([rule], Identity("k", f"a@{other}"))) == (one == other)
    assert not matching([rule], Identity("k", f"a@sub.{one}"))
    assert not matching([rule], Identity("k", f"a@{one}.evil.org"))


def test_nobody_without_an_address_is_matched_by_one() -> None:
    rules = [Rule("email", "", "admin"), Rule("domain", "", "admin"), Rule("group", "", "admin")]
    assert [one for one in rules if _is_accepted(one)] == []
    assert not matching([Rule("email", "ada@example.com", "admin"), Rule("domain", "example.com", "admin")],
                        Identity("k", "", frozenset({"ada@example.com", "example.com"})))  # fmt: skip


def test_all_that_match_count() -> None:
    rules = [
        Rule("email", "ada@example.com", "account_manager", ("a", "b"), may_read_prompts=True),
        Rule("domain", "example.com", "engineer"),
        Rule("group", "finance-team", "finance", ("c",)),
        Rule("group", "Finance-Team", "admin"),
        Rule("email", "eve@example.com", "admin"),
    ]
    assert [one.role for one in matching(rules, ADA)] == ["account_manager", "engineer", "finance"]
    assert [one.grant.scope for one in matching(rules, ADA)] == [Scope.of("ab"), Scope.all_tenants(), Scope.of("c")]


@given(st.lists(st.one_of(st.none(), st.frozensets(st.text(max_size=3), max_size=4)), min_size=1, max_size=5))
def test_tenants_of_several_rows_are_united(parts: list[frozenset[str] | None]) -> None:
    scope = united(Scope.all_tenants() if one is None else Scope.of(one) for one in parts)
    everything = any(one is None for one in parts)
    expected = Scope.all_tenants() if everything else Scope.of(frozenset().union(*(one or () for one in parts)))
    assert (scope, scope.digest) == (expected, expected.digest)


@pytest.mark.parametrize("role", ROLES)
def test_prompts_are_given_to_the_roles_that_read_them(role: str) -> None:
    if role in READS_PROMPTS:
        assert checked(kind="group", subject="g", role=role, may_read_prompts=True).grant.may_read_prompts
        assert not checked(kind="group", subject="g", role=role).grant.may_read_prompts
    else:
        with pytest.raises(ArgumentError, match="leave them out"):
            checked(kind="group", subject="g", role=role, may_read_prompts=True)
        assert not Rule("group", "g", role, may_read_prompts=True).grant.may_read_prompts  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"kind": "phone"}, "no kind of rule; use one of email, domain, group"),
        ({"role": "root"}, "is no role; use one of account_manager"),
        ({"subject": "ada@ex\u0430mple.com"}, "others may only look the same"),
        ({"subject": "ada"}, "write it like ada@example.com"),
        ({"kind": "domain", "subject": "GMAIL.com"}, "gives a mailbox to everybody"),
        ({"kind": "domain", "subject": "com"}, "write it like example.com"),
        ({"kind": "group", "subject": " "}, "a group is a name of 1 to 200"),
        ({"kind": "group", "subject": "a\x00b"}, "a group is a name of 1 to 200"),
        ({"tenants": []}, "no tenant is named"),
        ({"tenants": [""]}, "is no tenant's id"),
        ({"tenants": ["a\x00"]}, "is no tenant's id"),
        ({"role": "admin", "tenants": ["a"]}, "leave the tenants out"),
    ],
)
def test_what_cannot_be_a_rule_is_refused_with_a_reason(wrong: dict[str, object], said: str) -> None:
    right = {"kind": "email", "subject": "ada@example.com", "role": "account_manager"}
    with pytest.raises(ArgumentError, match=said):
        checked(**{**right, **wrong})  # type: ignore[arg-type]


def test_a_file_says_the_same_as_the_table() -> None:
    document = {
        "access": [
            {"email": "Ada@Example.com", "role": "account_manager", "tenants": ["b", "a"], "may_read_prompts": True},
            {"domain": "@example.com", "role": "engineer"},
            {"group": "Führung", "role": "admin"},
        ]
    }
    assert read_rules(document) == [
        Rule("email", "ada@example.com", "account_manager", ("a", "b"), may_read_prompts=True),
        Rule("domain", "example.com", "engineer"),
        Rule("group", "Führung", "admin"),
    ]
    assert read_rules({}) == []


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"role": "admin"}, "none or several of email, domain and group"),
        ({"email": "a@example.com", "group": "g", "role": "admin"}, "none or several"),
        ({"email": "a@example.com", "roles": "admin"}, "'roles' is not known"),
        ({"email": "a@example.com", "role": "admin", "may_read_prompts": "no"}, "true or false"),
        ({"email": "a@example.com", "role": "finance", "tenants": "org_1"}, "a list of ids"),
        ({"email": ["a@example.com"], "role": "finance"}, "email and role are texts"),
        ("admin", "it is no table"),
    ],
)
def test_a_wrong_entry_of_a_file_is_named(entry: object, said: str) -> None:
    with pytest.raises(ArgumentError, match=rf"entry 2 of \[\[access\]\]: .*{said}"):
        read_rules({"access": [{"group": "g", "role": "admin"}, entry]})
    with pytest.raises(ArgumentError, match="something else"):
        read_rules({"acess": []})


def test_the_first_administrators_read_no_prompts() -> None:
    (rule,) = first_administrators(["ada@example.com"])
    assert (rule.grant.role, rule.grant.scope.is_all, rule.grant.may_read_prompts) == ("admin", True, False)


def test_a_person_at_another_sign_in_has_another_digest() -> None:
    again = Identity(ADA.key, ADA.email, ADA.groups, "another")
    assert len({ADA.digest, again.digest, Identity("k", ADA.email, sign_in="s").digest}) == 3
    assert ADA.key not in ADA.digest
    assert ADA.email not in ADA.digest


def _is_accepted(rule: Rule) -> bool:
    try:
        checked(kind=rule.kind, subject=rule.subject, role=rule.role)
    except ArgumentError:
        return False
    return True
