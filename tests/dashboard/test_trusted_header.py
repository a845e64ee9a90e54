"""The real program behind a proxy that names people in a header."""

from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.conftest import OWNER, READER, Server
from tests.running import Dashboard
from tests.signing.cookies import USER, claims_of, cookie
from tests.signing.deployment import deployed
from tests.signing.wire import Seen, Wire

HEADER = "X-Forwarded-Email"
ROLES = """
[[access]]
email = "ada@example.com"
role = "engineer"

[[access]]
domain = "example.org"
role = "finance"
"""


@pytest.fixture(scope="module")
def at(server: Server, module_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    path: Path = tmp_path_factory.mktemp("roles") / "access.toml"
    path.write_text(ROLES, encoding="utf-8")
    more = {"USAGE_DASHBOARD_AUTH": "header", "TRUSTED_HEADER": HEADER, "TRUSTED_PROXIES": "127.0.0.1"}
    urls = (server.url(module_database, READER), server.url(module_database, OWNER))
    with deployed(*urls, "https://id.example.com/x", admins="", ACCESS_FILE=str(path), **more) as running:
        yield running


def opened(at: Dashboard, page: str, *headers: tuple[str, str], origin: str | None = "") -> Seen:
    with Wire(at.url, {}, headers=headers, origin=origin) as wire:
        return wire.open(page)


def test_the_header_says_who_it_is(at: Dashboard) -> None:
    assert opened(at, "plan", (HEADER, "Ada@Example.com")).titles == ["Plan"]
    assert opened(at, "plan", (HEADER, "fred@example.org")).titles == ["Not for your role"]
    assert opened(at, "plan", (HEADER, "eve@example.net")).titles == ["No role yet"]
    assert "Sign out" not in opened(at, "plan", (HEADER, "ada@example.com")).text, "that is the proxy's"


def test_nobody_is_anybody_without_it(at: Dashboard) -> None:
    for headers in (
        (),
        ((HEADER, ""),),
        ((HEADER, "ada@example.com"), (HEADER, "ada@example.com")),
        ((HEADER, "ada@example.com"), ("X_Forwarded_Email", "ada@example.com")),
        (("X-Forwarded-User", "ada@example.com"),),
    ):
        seen = opened(at, "plan", *headers)
        assert seen.titles == ["Usage dashboard"]
        assert "carries no sign-in of the proxy" in seen.text
    signed = {USER: cookie(claims_of("ada@example.com"), at.url)}
    with Wire(at.url, signed) as wire:
        assert wire.open("plan").titles == ["Usage dashboard"], "a sign-in cookie counts for nothing here"


def test_one_request_tells_whether_the_header_is_believed(at: Dashboard) -> None:
    """As docs/sign-in.md has it for curl."""
    told = {}
    for header in (HEADER, "X-Forwarded-User"):
        with closing(HTTPConnection(at.url.removeprefix("http://"), timeout=60)) as connection:
            connection.request("GET", "/exports/try", headers={header: "ada@example.com"})
            answer = connection.getresponse()
            told[header] = (answer.status, answer.read().decode())
    assert told["X-Forwarded-User"][0] == 401
    assert "Nobody is signed in" in told["X-Forwarded-User"][1]
    assert told[HEADER][0] == 403
    assert "This link is not one of this server's" in told[HEADER][1]


def test_a_tab_of_one_person_is_not_carried_on_by_another(at: Dashboard) -> None:
    with Wire(at.url, {}, headers=[(HEADER, "ada@example.com")]) as first:
        shown = first.open("plan")
        assert shown.titles == ["Plan"]
        session = first.session
    with Wire(at.url, {}, headers=[(HEADER, "ada@example.com")], resumes=session) as same:
        same.open("plan")
        assert same.session == session
    for headers in ([(HEADER, "fred@example.org")], []):
        with Wire(at.url, {}, headers=headers, resumes=session) as other:
            seen = other.open("plan")
            assert other.session != session
            assert "Plan" not in seen.titles
