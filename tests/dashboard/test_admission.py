"""Who has signed in: what is believed of a token, a cookie and a header, and what is not."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from streamlit.web.server.starlette.starlette_app_utils import create_signed_value

from dashboard.admission import Admission, Oidc, Provider, admission, oidc_settings, signed_claims
from queries.access import Rule
from queries.access_book import AccessBook, NoRules, RuleFile
from queries.errors import SettingsError
from queries.settings import Settings, load_settings
from tests.signing.cookies import SECRET, USER, claims_of, cookie
from tests.signing.provider import CLIENT_ID

ORIGIN = "https://dashboard.example.com"
OIDC = Oidc(ORIGIN, (Provider("default", CLIENT_ID, "id.example.com"),), SECRET)
HOUR = 3600.0


class Roles(NoRules):
    def __init__(self, *rules: Rule) -> None:
        self._rules = rules

    def read(self) -> list[Rule]:
        return list(self._rules)


def made(now: float | None = None, oidc: Oidc = OIDC, mode: str = "oidc", **more: Any) -> Admission:
    book = AccessBook(Roles(Rule("domain", "example.com", "finance")), remembers_s=HOUR)
    clock = {} if now is None else {"clock": lambda: now}
    return Admission(mode, book, 12 * HOUR, read_oidc=lambda: oidc, **clock, **more)  # type: ignore[arg-type]


def user(**claims: Any) -> dict[str, Any]:
    return {**claims_of("ada@example.com"), "is_logged_in": True, "provider": "default", "tokens": {}, **claims}


def test_who_signed_in_here_is_somebody() -> None:
    who = made().of_user(user(groups=["a", "b"]), ORIGIN)
    assert who is not None
    assert (who.email, who.key, who.groups) == ("ada@example.com", "id:default:ada@example.com", frozenset("ab"))
    assert [one.role for one in made().grants(who)] == ["finance"]


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "another-deployment"},
        {"aud": ["another-deployment"]},
        # The library believes this one: a token for somebody else that was asked for by us.
        {"aud": "another-deployment", "azp": CLIENT_ID},
        {"aud": ["x", "y"], "azp": CLIENT_ID},
        {"aud": None},
        {"aud": CLIENT_ID + "2"},
        {"aud": [CLIENT_ID + "2"]},
        {"aud": {CLIENT_ID: True}},
        {"iat": 1_000_000_000},
        {"iat": 32_503_680_000},
        {"iat": True},
        {"iat": "now"},
        {"iat": None},
        {"iat": float("nan")},
        {"sub": ""},
        {"sub": None},
        {"sub": "a\nb"},
        {"sub": 7},
        {"provider": "other"},
        {"provider": None},
        {"is_logged_in": False},
    ],
)
def test_a_token_of_another_audience_or_time_is_nobody(claims: dict[str, Any]) -> None:
    assert made().of_user(user(**claims), ORIGIN) is None


def test_one_of_several_audiences_is_enough() -> None:
    assert made().of_user(user(aud=["x", CLIENT_ID], azp=CLIENT_ID), ORIGIN) is not None


@pytest.mark.parametrize("origin", [None, "", "null", f"{ORIGIN}.evil.org", ORIGIN.replace("https", "http")])
def test_a_page_that_names_another_origin_is_nobodys(origin: str | None) -> None:
    """Streamlit believes a cookie of whichever deployment the request names."""
    assert made().of_user(user(), origin) is None


def test_a_sign_in_ends_after_its_time() -> None:
    now = 1_800_000_000
    claims = user(iat=now)
    who = made(now + 12 * HOUR - 1).of_user(claims, ORIGIN)
    assert who is not None
    assert made(now + 12 * HOUR).of_user(claims, ORIGIN) is None
    assert made(now + 12 * HOUR).grants(who) == ()
    assert made(now - 60).of_user(claims, ORIGIN) is not None, "a clock a little behind"
    assert made(now - 600).of_user(claims, ORIGIN) is None


@pytest.mark.parametrize(
    ("claims", "email"),
    [
        ({"email": "ADA@Example.COM"}, "ada@example.com"),
        ({"email_verified": True}, "ada@example.com"),
        ({"email_verified": "true"}, "ada@example.com"),
        ({"email_verified": False}, ""),
        ({"email_verified": "false"}, ""),
        ({"email_verified": None}, ""),
        ({"email_verified": 0}, ""),
        ({"email_verified": 1}, ""),
        ({"email": "ada@ex\u0430mple.com"}, ""),
        ({"email": "ada@example.com\u200b"}, ""),
        ({"email": ["ada@example.com"]}, ""),
        ({"email": None}, ""),
    ],
)
def test_only_a_verified_address_counts(claims: dict[str, Any], email: str) -> None:
    who = made().of_user(user(**claims), ORIGIN)
    assert who is not None
    assert who.email == email
    assert bool(made().grants(who)) == bool(email), "and so does its domain"
    assert who.name == (email or "id:default:ada@example.com")


def test_a_provider_that_does_not_say_is_believed() -> None:
    claims = user()
    del claims["email_verified"]
    who = made().of_user(claims, ORIGIN)
    assert who is not None
    assert who.email == "ada@example.com"


def test_a_name_that_people_choose_is_nobodys_name() -> None:
    who = made().of_user(user(name="admin@example.com", preferred_username="admin@example.com", email=None), ORIGIN)
    assert who is not None
    assert "admin" not in who.name


@pytest.mark.parametrize(
    ("claims", "name", "groups"),
    [
        ({}, "groups", ()),
        ({"groups": "one"}, "groups", ("one",)),
        ({"groups": ["one", 2, None, ["x"], "", "two"]}, "groups", ("one", "two")),
        ({"groups": {"one": True}}, "groups", ()),
        ({"realm_access": {"roles": ["one"]}}, "realm_access.roles", ("one",)),
        ({"realm_access": ["roles"]}, "realm_access.roles", ()),
        ({"https://x.y/groups": ["one"], "https://x": {"y/groups": ["no"]}}, "https://x.y/groups", ("one",)),
    ],
)
def test_groups_come_from_the_claim_that_is_named(claims: dict[str, Any], name: str, groups: tuple[str, ...]) -> None:
    who = made(groups_claim=name).of_user(user(**claims), ORIGIN)
    assert who is not None
    assert who.groups == frozenset(groups)


def test_page_and_file_know_the_same_sign_in() -> None:
    claims = claims_of("ada@example.com", groups=["ü"])
    by_page = made().of_user({**claims, "is_logged_in": True, "provider": "default", "tokens": {}}, ORIGIN)
    by_file = made().of_request({USER: cookie(claims, ORIGIN)}, {})
    assert by_page == by_file
    assert by_page is not None
    another = made().of_request({USER: cookie({**claims, "nonce": "2"}, ORIGIN)}, {})
    assert another is not None
    assert (another.key, another.digest == by_page.digest) == (by_page.key, False)


def test_a_cookie_that_is_too_long_for_one_comes_in_pieces() -> None:
    claims = claims_of("ada@example.com", groups=[f"group-{n}" for n in range(400)])
    whole = json.dumps({**claims, "origin": ORIGIN, "is_logged_in": True, "provider": "default"})
    pieces = [whole[n : n + 2_000] for n in range(0, len(whole), 2_000)]
    cookies = {USER: f"chunks-{len(pieces)}"} | {f"{USER}_{n}": one for n, one in enumerate(pieces, start=1)}
    signed = {name: create_signed_value(SECRET, name, value).decode() for name, value in cookies.items()}
    who = made().of_request(signed, {})
    assert who is not None
    assert len(who.groups) == 400
    del signed[f"{USER}_2"]
    assert made().of_request(signed, {}) is None


@pytest.mark.parametrize(
    "cookies",
    [
        {},
        {USER: ""},
        {USER: "x"},
        {USER: cookie(claims_of("ada@example.com"), ORIGIN, secret="f" * 64)},
        {USER: cookie(claims_of("ada@example.com"), "https://staging.example.com")},
        {USER: cookie(claims_of("ada@example.com"), ORIGIN, name="_streamlit_user_tokens")},
        {USER: cookie({**claims_of("ada@example.com"), "aud": "another"}, ORIGIN)},
        {USER: create_signed_value(SECRET, USER, "[1]").decode()},
        {USER: create_signed_value(SECRET, USER, "[" * 10_000).decode()},
        {USER: create_signed_value(SECRET, USER, "chunks-999999999").decode()},
        {"usage_dashboard_browser": cookie(claims_of("ada@example.com"), ORIGIN)},
    ],
    ids=["none", "empty", "noise", "secret", "origin", "tokens", "audience", "list", "deep", "chunks", "name"],
)
def test_a_cookie_of_another_deployment_is_nobodys(cookies: Mapping[str, str]) -> None:
    assert made().of_request(cookies, {}) is None


@given(place=st.integers(0, 5_000), put=st.sampled_from("abcXYZ019-_."))
def test_a_changed_cookie_is_nobodys(place: int, put: str) -> None:
    value = cookie(claims_of("ada@example.com"), ORIGIN)
    place %= len(value)
    # The last letter of a part has bits that say nothing.
    if put == value[place] or value[place + 1 : place + 2] in ("", "."):
        return
    assert signed_claims({USER: value[:place] + put + value[place + 1 :]}, OIDC) is None


def test_a_header_names_a_person_by_address() -> None:
    header = made(mode="header", header="x-forwarded-email")
    who = header.of_request(
        {USER: cookie(claims_of("eve@example.com"), ORIGIN)}, {"x-forwarded-email": "Ada@Example.com"}
    )
    assert who is not None
    assert (who.email, who.until) == ("ada@example.com", None)
    assert header.of_user({"usage_dashboard_header": "ada@example.com"}, None) == who
    for nobody in ({"usage_dashboard_header": None}, {"email": "ada@example.com"}, user(), {}):
        assert header.of_user(nobody, ORIGIN) is None
    for value in ("", "ada", "a@example.com, ada@example.com", "ada@example.com\t"):
        assert header.of_request({}, {"x-forwarded-email": value}) is None


@pytest.mark.parametrize(
    ("address", "is_believed"),
    [
        *(("10.0.0.5", True), ("::ffff:10.0.0.5", True), ("192.168.1.77", True), ("fd00::1", True)),
        *(("10.0.0.6", False), ("192.168.2.1", False), ("fd01::1", False), ("127.0.0.1", False), ("", False)),
        *(("10.0.0.5, 1.2.3.4", False), ("proxy", False), ("0x0a000005", False), ("10.0.0.05", False)),
    ],
)
def test_the_proxys_addresses(address: str, is_believed: bool) -> None:
    settings = Settings(trusted_proxies="10.0.0.5, 192.168.1.0/24,fd00::/64")  # type: ignore[arg-type]  # read from a text
    assert made(mode="header", proxies=settings.trusted_proxies).believes(address) == is_believed


def test_without_sign_in_there_is_no_admission() -> None:
    assert admission(Settings(auth=None), None) is None
    assert admission(Settings(auth="none"), None) is None


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"auth": "header"}, "TRUSTED_HEADER.*TRUSTED_PROXIES"),
        ({"auth": "header", "trusted_header": "X-E"}, "TRUSTED_PROXIES"),
        ({"auth": "oidc"}, "nobody has a role.*DIRECT_URL.*ACCESS_FILE"),
    ],
)
def test_what_does_not_go_together_stops_the_start(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        admission(Settings(**settings), None)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("ADMIN_EMAILS", "ada@example.com,eve", "'eve' is no e-mail address"),
        ("ADMIN_EMAILS", "ada@ex\u0430mple.com", "is no e-mail address"),
        ("TRUSTED_PROXIES", "10.0.0.5,proxy", "addresses such as 10.0.0.5"),
        ("TRUSTED_PROXIES", "10.0.0.5/8", "has host bits set"),
        ("TRUSTED_HEADER", "X Forwarded", "the name of a header"),
        ("USAGE_DASHBOARD_AUTH", "ldap", "USAGE_DASHBOARD_AUTH is not accepted"),
        ("SIGN_IN_LASTS_H", "0", "SIGN_IN_LASTS_H is not accepted"),
    ],
)
def test_wrong_settings_are_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=said):
        load_settings()


def test_lists_of_settings_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADMIN_EMAILS", " Ada@Example.com , eve@example.com,")
    monkeypatch.setenv("TRUSTED_PROXIES", "10.0.0.5")
    settings = load_settings()
    assert settings.admin_emails == ("ada@example.com", "eve@example.com")
    assert [str(one) for one in settings.trusted_proxies] == ["10.0.0.5/32"]
    with pytest.raises(ValidationError):
        settings.admin_emails = ()  # type: ignore[misc]


AUTH = {
    "redirect_uri": f"{ORIGIN}/oauth2callback",
    "cookie_secret": SECRET,
    "client_id": CLIENT_ID,
    "client_secret": "x",
    "server_metadata_url": "https://id.example.com/.well-known/openid-configuration",
}


@pytest.fixture
def secrets_of(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Writes secrets.toml, and reads what it says."""
    from streamlit import auth_util
    from streamlit.runtime.secrets import AttrDict

    def read(section: dict[str, Any]) -> Oidc:
        monkeypatch.setattr(auth_util, "get_secrets_auth_section", lambda: AttrDict(section))
        return oidc_settings.__wrapped__()

    return read


def test_the_secrets_are_read(secrets_of: Any) -> None:
    assert secrets_of(AUTH) == OIDC
    shared = {"redirect_uri": "http://localhost:8501/oauth2callback", "cookie_secret": SECRET}
    one = {key: AUTH[key] for key in ("client_id", "client_secret", "server_metadata_url")}
    found = secrets_of({**shared, "google": one, "okta": {**one, "client_id": "other"}})
    assert [(each.name, each.client_id, each.title) for each in found.providers] == [
        ("google", CLIENT_ID, "Sign in with Google"),
        ("okta", "other", "Sign in with Okta"),
    ]
    alone = Provider("default", CLIENT_ID, "login.microsoftonline.com")
    assert alone.title == "Sign in with Microsoft"
    unknown = ("", "id.example.com", "notgoogle.com", "google.com.example.org")
    assert {replace(alone, host=one).title for one in unknown} == {"Sign in with your company account"}
    assert (found.origin, found.is_https) == ("http://localhost:8501", False)
    assert SECRET not in repr(found)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"redirect_uri": "https://x.example.com/"}, "redirect_uri is the dashboard's public address"),
        ({"redirect_uri": "http://x.example.com/oauth2callback"}, "redirect_uri starts with https://"),
        ({"redirect_uri": None}, "redirect_uri is the dashboard's public address"),
        ({"cookie_secret": "short"}, "cookie_secret has 32 characters or more"),
        ({"client_id": ""}, "client_id of the provider default is missing"),
        ({"client_secret": None}, "client_secret of the provider default is missing"),
        ({"server_metadata_url": "http://id.example.com/x"}, "server_metadata_url of the provider default starts with"),
        ({"my_idp": {"client_id": "x"}}, "name with an underscore"),
    ],
)
def test_secrets_that_cannot_work_are_named(secrets_of: Any, changed: dict[str, Any], said: str) -> None:
    section = {key: value for key, value in {**AUTH, **changed}.items() if value is not None}
    with pytest.raises(SettingsError, match=said) as error:
        secrets_of(section)
    assert SECRET not in error.value.message
    with pytest.raises(SettingsError, match="there is none"):
        secrets_of({})


def test_a_file_with_a_mistake_stops_the_start(tmp_path: Path) -> None:
    path = tmp_path / "access.toml"
    path.write_text("[[access]]\nemail = 'x'\nrole = 'admin'\n", encoding="utf-8")
    found = admission(Settings(auth="oidc", access_file=path), None)
    assert found is not None
    assert isinstance(found.book.source, RuleFile)
    wrong = Admission("header", found.book, HOUR)
    with pytest.raises(SettingsError, match="entry 1"):
        wrong.check()
