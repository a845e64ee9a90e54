"""Every role on every page, for tenants that are theirs and that are not, each by its address and on a server that has
just been started; asked by a browser that is only a socket, so that nothing of ours could be kind to it."""

import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from joserfc.jwk import RSAKey

from dashboard.places import PLACES
from tests.conftest import OWNER, READER, SUPERUSER, Server, _clone
from tests.running import Dashboard
from tests.signing.cookies import SECRET, USER, claims_of, cookie
from tests.signing.deployment import deployed
from tests.signing.flow import cookies_after_sign_in
from tests.signing.provider import CLIENT_ID, Provider, provided
from tests.signing.wire import Seen, Wire

PERIOD = "period=Custom&from=2026-05-19&to=2026-06-15"
SAME_FOR_EVERYBODY = "There is no such tenant, or it is not one of yours."
EVERYBODY = {"manager", "engineer", "finance", "admin", "two"}
ENGINEERS, FINANCE = {"engineer", "admin"}, {"finance", "admin", "two"}
# Who opens what, written down once more.
OPENS = {
    **dict.fromkeys(("tenants", "tenant", "burn", "timelines", "exports"), EVERYBODY),
    **dict.fromkeys(("performance", "indexes", "plan"), ENGINEERS),
    "statements": FINANCE,
    "access": {"admin"},
    "audit": {"admin"},
}
OF_ONE_TENANT = ("tenant", "burn", "timelines", "statements", "exports")
PEOPLE = ("nobody", "stranger", "unverified", "manager", "engineer", "finance", "admin", "two")


@dataclass(frozen=True)
class Site:
    """A deployment, and whose tenants are whose: of each person, the ids that each page may show."""

    at: Dashboard
    names: Mapping[str, str]
    owner_url: str
    provider: Provider

    @property
    def ids(self) -> list[str]:
        return sorted(self.names)

    @property
    def half(self) -> list[str]:
        return self.ids[: len(self.ids) // 2]

    def seen_by(self, person: str, page: str) -> list[str]:
        """The manager looks after one half; who has two roles, after the last, and is finance for the first."""
        if person not in OPENS[page]:
            return []
        if person == "manager":
            return self.half
        if person == "two":
            return [self.ids[0]] if page == "statements" else [self.ids[0], self.ids[-1]]
        return self.ids

    def wire(self, person: str, **more: str) -> Wire:
        return Wire(self.at.url, {} if person == "nobody" else {USER: self.cookie(person, **more)})

    def cookie(self, person: str, **more: str) -> str:
        claims = claims_of("admin@example.com" if person == "unverified" else f"{person}@example.com", **more)
        if person == "unverified":
            claims |= {"email_verified": False}
        if person == "finance":
            claims |= {"email": None, "groups": ["money"]}
        return cookie(claims, self.at.url)


@pytest.fixture(scope="module")
def site(server: Server, template: str) -> Iterator[Site]:
    with _clone(server, template) as name, provided() as provider:
        owner_url = server.url(name, OWNER)
        with psycopg.connect(server.url(name, SUPERUSER)) as connection:
            names = dict(connection.execute('SELECT id::text, name FROM "Organization"').fetchall())
        ids = sorted(names)
        rows = [
            ("email", "manager@example.com", "account_manager", ids[: len(ids) // 2], True),
            ("email", "engineer@example.com", "engineer", None, False),
            ("group", "money", "finance", None, False),
            ("email", "two@example.com", "finance", [ids[0]], False),
            ("email", "two@example.com", "account_manager", [ids[-1]], True),
            ("email", "guest@example.com", "engineer", None, False),
        ]
        with psycopg.connect(owner_url, autocommit=True) as connection:
            for row in rows:
                connection.execute(
                    "INSERT INTO usage_dashboard.access (kind, subject, role, tenants, may_read_prompts, created_by)"
                    " VALUES (%s, %s, %s, %s, %s, 'the test')",
                    row,
                )
        with deployed(server.url(name, READER), owner_url, provider.metadata) as running:
            # Before any page has been looked at: the addresses of all of them at once, by nobody.
            fresh = Site(running, names, owner_url, provider)
            with ThreadPoolExecutor(len(PLACES)) as many:
                for place, seen in zip(
                    PLACES, many.map(lambda one: _opened(fresh, "nobody", one.name, ""), PLACES), strict=True
                ):
                    _refused(fresh, seen, "Usage dashboard", f"{place.name}, on a fresh server")
            yield fresh


def _opened(site: Site, person: str, page: str, tenant: str) -> Seen:
    with site.wire(person) as wire:
        return wire.open("" if page == PLACES[0].name else page, f"{PERIOD}&tenant={tenant}" if tenant else PERIOD)


def _refused(site: Site, seen: Seen, title: str, where: str) -> None:
    assert seen.titles == [title], where
    for tenant, name in site.names.items():
        assert not seen.holds(name), where
        assert not seen.holds(tenant), where


def test_the_matrix_names_every_page() -> None:
    assert set(OPENS) == {one.name for one in PLACES}


@pytest.mark.parametrize("person", PEOPLE)
def test_every_page_and_tenant_by_its_address(site: Site, person: str) -> None:
    cells = [
        (place.name, tenant)
        for place in PLACES
        for tenant in ((site.ids[0], site.ids[-1]) if place.name in OF_ONE_TENANT else ("",))
    ]
    with ThreadPoolExecutor(3) as some:
        pages = list(some.map(lambda cell: _opened(site, person, *cell), cells))
    for (page, tenant), seen in zip(cells, pages, strict=True):
        _check(site, person, page, tenant, seen)


def _check(site: Site, person: str, page: str, tenant: str, seen: Seen) -> None:
    where = f"{person} opens {page} of {tenant or 'all'}: {seen.text[:600]}"
    if person == "nobody":
        _refused(site, seen, "Usage dashboard", where)
        assert "Sign in" in seen.text, where
        return
    if person in ("stranger", "unverified"):
        _refused(site, seen, "No role yet", where)
        assert "Olga in Operations" in seen.text, where
        return
    if person not in OPENS[page]:
        _refused(site, seen, "Not for your role", where)
        return
    assert not {"Usage dashboard", "No role yet", "Not for your role"} & set(seen.titles), where
    theirs = site.seen_by(person, page)
    for one in set(site.ids) - set(theirs):
        # The address that was asked for is in the page's own links.
        assert one == tenant or not seen.holds(one), f"{one}: {where}"
        assert not seen.holds(site.names[one]), f"{site.names[one]}: {where}"
    if page == "tenants":
        assert any(seen.holds(site.names[one]) for one in theirs), where
    if page == "tenant":
        assert (SAME_FOR_EVERYBODY in seen.text) == (tenant not in theirs), where
        assert seen.holds(site.names[tenant]) == (tenant in theirs), where


def test_a_cookie_opens_nothing_for_who_only_claims_where_it_comes_from(site: Site) -> None:
    """A deployment whose secret was copied: its cookie, and the headers of its own site."""
    value = cookie(claims_of("admin@example.com"), "http://127.0.0.1:1")
    for origin in ("http://127.0.0.1:1", site.at.url, None):
        with Wire(site.at.url, {USER: value}, origin=origin) as wire:
            _refused(site, wire.open(), "Usage dashboard", f"origin {origin}")
    with Wire(site.at.url, {USER: site.cookie("admin")}, origin=None) as wire:
        _refused(site, wire.open(), "Usage dashboard", "no origin")
    forged = cookie(claims_of("admin@example.com"), site.at.url, secret=SECRET[::-1])
    with Wire(site.at.url, {USER: forged}) as wire:
        _refused(site, wire.open(), "Usage dashboard", "another secret")


def test_a_role_that_is_taken_away_ends_what_an_open_tab_shows_and_its_files(site: Site) -> None:
    """Streamlit makes a panel's file without a run of the page, and serves it to everybody who has the address."""
    with site.wire("guest") as wire:
        shown = wire.open("tenant", f"{PERIOD}&tenant={site.ids[0]}")
        assert shown.titles[-1] == site.names[site.ids[0]]
        assert shown.fragments, "the page has parts that run by themselves"
        assert len(shown.downloads) > 1, "panels have files"
        path = wire.download(shown.downloads[0])
        assert path.startswith("/media/")
        asked = [site.cookie(one) for one in ("guest", "admin", "stranger")]
        found = [_status(site, path, f"{USER}={one}") for one in asked]
        assert [*found, _status(site, path, "")] == [200, 403, 403, 403]
        assert _status(site, path, f"{USER}={site.cookie('guest', nonce='another sign-in')}") == 403
        with psycopg.connect(site.owner_url, autocommit=True) as connection:
            connection.execute("DELETE FROM usage_dashboard.access WHERE subject = 'guest@example.com'")
        _until_title(site, "guest", "No role yet")
        assert wire.download(shown.downloads[1]) == ""
        assert _status(site, path, f"{USER}={site.cookie('guest')}") == 403
        for part in sorted(shown.fragments):
            _refused(site, wire.part(part, PERIOD), "No role yet", f"part {part}")


def _until_title(site: Site, person: str, title: str) -> None:
    """Rules are read again within a minute; that they are is what is asserted, and not when."""
    for _ in range(120):
        if _opened(site, person, "tenants", "").titles[-1:] == [title]:
            return
        time.sleep(0.5)
    raise AssertionError(f"{person} never sees {title}")


def test_who_signs_out_is_out_in_every_tab_and_with_a_copy_of_the_cookie(site: Site) -> None:
    kept = {USER: site.cookie("engineer", nonce="to be signed out")}
    with Wire(site.at.url, kept) as tab:
        shown = tab.open("", PERIOD)
        assert shown.titles[-1] == "Tenants"
        request = urllib.request.Request(f"{site.at.url}/auth/logout", headers={"Cookie": f"{USER}={kept[USER]}"})  # noqa: S310 - our own address
        urllib.request.urlopen(request, timeout=20).close()  # noqa: S310 - our own address
        _refused(site, tab.part(sorted(shown.fragments)[0], PERIOD), "Usage dashboard", "the other tab")
    with Wire(site.at.url, kept) as copy:
        _refused(site, copy.open("tenants", PERIOD), "Usage dashboard", "a copy of the cookie")
    with site.wire("engineer") as anew:
        assert anew.open("", PERIOD).titles[-1] == "Tenants"


FORGED = RSAKey.generate_key(2048, {"kid": "one", "use": "sig"})


@pytest.mark.parametrize(
    ("claims", "key"),
    [
        ({"exp": 1_000_000_000}, None),
        ({"iat": 1_000_000_000, "exp": 1_000_000_600}, None),
        ({}, FORGED),
        ({"aud": "another-deployment"}, None),
        # The library lets this one in; the page does not.
        ({"aud": "another-deployment", "azp": CLIENT_ID}, None),
        ({"iss": "https://evil.example.org"}, None),
        ({"nonce": "of another sign-in"}, None),
        ({"sub": None}, None),
    ],
    ids=["expired", "long ago", "forged", "audience", "audience by azp", "issuer", "replayed", "nobody"],
)
def test_a_token_that_is_not_for_here_and_now_lets_nobody_in(
    site: Site, claims: dict[str, Any], key: RSAKey | None
) -> None:
    site.provider.is_ada(email="admin@example.com")
    site.provider.spoil = lambda told: {**told, **claims}
    site.provider.signs_with = key or site.provider.key
    kept = cookies_after_sign_in(site.at.url)
    with Wire(site.at.url, {name: value for name, value in kept.items() if name.startswith(USER)}) as wire:
        _refused(site, wire.open("", PERIOD), "Usage dashboard", str(claims))
    site.provider.is_ada(email="Admin@Example.COM")
    kept = cookies_after_sign_in(site.at.url)
    with Wire(site.at.url, {name: value for name, value in kept.items() if name.startswith(USER)}) as wire:
        assert wire.open("plan").titles == ["Plan"], "the same without what is wrong"


def _status(site: Site, path: str, cookies: str) -> int:
    request = urllib.request.Request(site.at.url + path, headers={"Cookie": cookies})  # noqa: S310 - our own address
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310 - our own address
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
