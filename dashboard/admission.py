"""Who has signed in: what an identity provider or a proxy says, checked once more, and the roles that it leads to.

Streamlit checks an id_token when somebody signs in, and keeps what it says in a signed cookie for 30 days. What that
leaves open is checked here at every run of a page and for every file: that the token was made for this deployment, that
its cookie was given here, that it is not too old, and that nobody has signed out with it.
"""

from __future__ import annotations

import functools
import hashlib
import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from queries.access import Grant, Identity, first_administrators
from queries.access_book import AccessBook, NoRules, RuleFile, RuleTable
from queries.emails import email_address
from queries.errors import SettingsError
from queries.settings import LOCAL_HOSTS, Settings

log = logging.getLogger(__name__)

USER_COOKIE = "_streamlit_user"
HEADER_CLAIM = "usage_dashboard_header"
# Of what Streamlit knows of a person, this is its own and not the identity provider's.
_STREAMLITS = ("is_logged_in", "provider", "tokens", "origin")
_SHORTEST_SECRET = 32
_LONGEST_CLAIM, _MOST_GROUPS = 200, 1_000
# A clock that is a little ahead is no reason to refuse somebody.
_LEEWAY_S = 120


# Who is behind an address, where everybody knows them by a name.
_KNOWN_PROVIDERS = {"google.com": "Google", "microsoftonline.com": "Microsoft", "okta.com": "Okta"}


@dataclass(frozen=True, slots=True)
class Provider:
    """One identity provider: the name it has in secrets.toml, what it knows this deployment as, and its host."""

    name: str
    client_id: str
    host: str = ""

    @property
    def title(self) -> str:
        """For the button."""
        known = (title for domain, title in _KNOWN_PROVIDERS.items() if f".{self.host}".endswith(f".{domain}"))
        name = next(known, "your company account") if self.name == "default" else self.name.capitalize()
        return f"Sign in with {name}"


@dataclass(frozen=True, slots=True)
class Oidc:
    """What the `[auth]` section of secrets.toml says."""

    origin: str
    providers: tuple[Provider, ...]
    cookie_secret: str = field(repr=False)

    @property
    def is_https(self) -> bool:
        return self.origin.startswith("https://")


@functools.cache
def oidc_settings() -> Oidc:
    """The `[auth]` section of secrets.toml, read once; SettingsError names what is missing or wrong in it."""
    from streamlit.auth_util import get_redirect_uri, get_secrets_auth_section

    section = get_secrets_auth_section()
    if not section:
        raise _wrong("there is none; copy .streamlit/secrets.example.toml and fill it in")
    told: dict[str, Any] = section.to_dict()
    secret = told.get("cookie_secret")
    if not isinstance(secret, str) or len(secret) < _SHORTEST_SECRET:
        raise _wrong(f"cookie_secret has {_SHORTEST_SECRET} characters or more: openssl rand -hex 32")
    address = get_redirect_uri(section)
    return Oidc(_origin(address), _providers(told), secret)


@dataclass(frozen=True)
class Admission:
    """How people come in, and which roles they have. Built once for a process."""

    mode: Literal["oidc", "header"]
    book: AccessBook
    lasts_s: float
    contact: str = ""
    groups_claim: str = "groups"
    header: str = ""
    proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    read_oidc: Callable[[], Oidc] = field(default=oidc_settings, repr=False)
    clock: Callable[[], float] = time.time

    def check(self) -> None:
        """Before serving: a SettingsError when sign-in cannot work as it is set up."""
        if self.mode == "oidc":
            self.read_oidc()
        if isinstance(self.book.source, RuleFile):
            self.book.source.read()

    def of_claims(self, claims: Mapping[str, Any]) -> Identity | None:
        """Who an identity provider says this is; None when it says so to somebody else, or too long ago."""
        found = {name: value for name, value in claims.items() if name not in _STREAMLITS}
        provider = next((one for one in self.read_oidc().providers if one.name == claims.get("provider")), None)
        if provider is None or not _is_for(provider, found.get("aud")):
            return None
        subject, issued_at = found.get("sub"), _seconds(found.get("iat"))
        if not _is_word(subject) or issued_at is None:
            return None
        until = issued_at + self.lasts_s
        if not issued_at - _LEEWAY_S <= self.clock() < until:
            return None
        told = json.dumps(found, sort_keys=True, default=str).encode()
        return Identity(
            key=f"id:{provider.name}:{subject}",
            email=_verified_email(found),
            groups=_groups(found, self.groups_claim),
            sign_in=hashlib.blake2b(told, digest_size=16).hexdigest(),
            until=until,
        )

    def of_user(self, user: Mapping[str, Any], origin: str | None) -> Identity | None:
        """Who looks at a page: what Streamlit knows of the session, and the origin that its browser named.

        Streamlit believes a cookie of the origin that is named; only here is it known which one this deployment has."""
        if self.mode == "header":
            return self._of_header(user.get(HEADER_CLAIM))
        if not user.get("is_logged_in") or origin != self.read_oidc().origin:
            return None
        return self.of_claims(user)

    def of_request(self, cookies: Mapping[str, str], headers: Mapping[str, str]) -> Identity | None:
        """Who asks for a file: by the sign-in cookie, or by the proxy's header."""
        if self.mode == "header":
            return self._of_header(headers.get(self.header))
        claims = signed_claims(cookies, self.read_oidc())
        return None if claims is None else self.of_claims(claims)

    def grants(self, who: Identity) -> tuple[Grant, ...]:
        """The roles of this person now; none without any, and after they have signed out."""
        if not self.is_signed_in(who):
            return ()
        return self.book.grants(who)

    def is_signed_in(self, who: Identity) -> bool:
        """Whether this sign-in still counts: it has not been ended, and its time is not over."""
        return (who.until is None or self.clock() < who.until) and not self.book.has_ended(who)

    def believes(self, address: str) -> bool:
        """Whether the header counts when it comes from here."""
        try:
            found = ip_address(address)
        except ValueError:
            return False
        mapped = getattr(found, "ipv4_mapped", None)
        return any((mapped or found) in one for one in self.proxies if one.version == (mapped or found).version)

    def _of_header(self, value: object) -> Identity | None:
        email = email_address(value)
        if email is None:
            return None
        return Identity(key=email, email=email, sign_in="")


def admission(settings: Settings, engine: Any) -> Admission | None:
    """How people come in; None where nobody signs in. SettingsError for what does not go together."""
    if settings.auth not in ("oidc", "header"):
        return None
    if settings.auth == "header" and (settings.trusted_header is None or not settings.trusted_proxies):
        raise SettingsError(
            "USAGE_DASHBOARD_AUTH=header needs TRUSTED_HEADER, the header that the proxy names people in, and"
            " TRUSTED_PROXIES, the addresses that it is believed from; set both"
        )
    lasts_s = settings.sign_in_lasts_h * 3600
    book = AccessBook(_source(settings, engine), first_administrators(settings.admin_emails), remembers_s=lasts_s)
    return Admission(
        mode=settings.auth,
        book=book,
        lasts_s=lasts_s,
        contact=settings.admin_contact,
        groups_claim=settings.groups_claim,
        header=(settings.trusted_header or "").lower(),
        proxies=settings.trusted_proxies,
    )


def _source(settings: Settings, engine: Any) -> Any:
    if settings.access_file is not None:
        return RuleFile(settings.access_file)
    if engine is not None:
        return RuleTable(engine)
    if settings.admin_emails:
        return NoRules()
    raise SettingsError(
        "nobody has a role: roles are kept through DIRECT_URL, or in a file that ACCESS_FILE names; set one of them,"
        " or ADMIN_EMAILS"
    )


def signed_claims(cookies: Mapping[str, str], oidc: Oidc) -> dict[str, Any] | None:
    """What the sign-in cookie of this deployment says; None for any other."""
    from streamlit.auth_util import get_cookie_with_chunks
    from streamlit.web.server.starlette.starlette_app_utils import decode_signed_value

    def one(name: str) -> bytes | None:
        value = cookies.get(name)
        return None if not value else decode_signed_value(oidc.cookie_secret, name, value)

    try:
        found = get_cookie_with_chunks(one, USER_COOKIE)
        claims = None if found is None else json.loads(found)
    except (ValueError, RecursionError):
        return None
    if not isinstance(claims, dict) or claims.get("origin") != oidc.origin or not claims.get("is_logged_in"):
        return None
    return claims


def _origin(address: str | None) -> str:
    if not isinstance(address, str) or not address.endswith("/oauth2callback"):
        raise _wrong("redirect_uri is the dashboard's public address, with /oauth2callback behind it")
    parts = urlsplit(address)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOCAL_HOSTS):
        raise _wrong("redirect_uri starts with https://, or with http:// on this machine only")
    return f"{parts.scheme}://{parts.netloc}"


def _providers(told: Mapping[str, Any]) -> tuple[Provider, ...]:
    named = {name: one for name, one in told.items() if isinstance(one, Mapping) and name != "client_kwargs"}
    sections = named if "client_id" not in told else {"default": told, **named}
    if not sections:
        raise _wrong("client_id, client_secret and server_metadata_url are those of your identity provider")
    return tuple(_provider(name, one) for name, one in sections.items())


def _provider(name: str, section: Mapping[str, Any]) -> Provider:
    if "_" in name:
        raise _wrong(f"the provider {name} has a name with an underscore, which Streamlit does not take; rename it")
    for key in ("client_id", "client_secret", "server_metadata_url"):
        if not isinstance(section.get(key), str) or not section[key]:
            raise _wrong(f"{key} of the provider {name} is missing")
    parts = urlsplit(section["server_metadata_url"])
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOCAL_HOSTS):
        raise _wrong(f"server_metadata_url of the provider {name} starts with https://")
    return Provider(name, section["client_id"], parts.hostname or "")


def _wrong(fact: str) -> SettingsError:
    return SettingsError(f"the section [auth] of {Path('.streamlit') / 'secrets.toml'}: {fact}; see docs/sign-in.md")


def _is_for(provider: Provider, audience: object) -> bool:
    """Whether the token names this deployment. The library takes one for somebody else, too, whose `azp` is ours."""
    return provider.client_id in audience if isinstance(audience, list) else audience == provider.client_id


def _is_word(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _LONGEST_CLAIM and value.isprintable()


def _seconds(value: object) -> float | None:
    is_time = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e11
    return float(value) if is_time else None  # type: ignore[arg-type]  # a number, as was just asked


def _verified_email(claims: Mapping[str, Any]) -> str:
    """The address, unless the provider says that it is not verified. Some say so in a text."""
    verified = claims.get("email_verified", True)
    if verified is not True and not (isinstance(verified, str) and verified.lower() == "true"):
        return ""
    return email_address(claims.get("email")) or ""


def _groups(claims: Mapping[str, Any], name: str) -> frozenset[str]:
    """The groups of a claim, or of one within another (`realm_access.roles`); none when it is missing."""
    found: Any = claims.get(name)
    if found is None and "." in name:
        found = claims
        for part in name.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
    listed = [found] if isinstance(found, str) else found if isinstance(found, list) else []
    return frozenset(one for one in listed[:_MOST_GROUPS] if _is_word(one))
