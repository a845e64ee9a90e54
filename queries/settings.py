"""Every setting: its name, its default, what it accepts. A wrong value stops the start and names itself."""

from __future__ import annotations

import re
import zoneinfo
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from queries.emails import email_address
from queries.errors import SettingsError

LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")
ROOT = Path(__file__).resolve().parent.parent


class Settings(BaseSettings):
    """Read once from the environment; frozen. The environment variable is the field's name in capitals."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", case_sensitive=False, env_ignore_empty=True)

    database_url: SecretStr | None = Field(
        None, description="PostgreSQL to read, pooled is fine (postgresql://...). Unset: the embedded demo."
    )
    direct_url: SecretStr | None = Field(
        None, description="The same database without a pooler, as a role that may own the schema usage_dashboard."
    )
    redis_url: SecretStr | None = Field(None, description="Shared cache (redis://, rediss:// or unix://). Optional.")
    auth: Literal["none", "oidc", "header"] | None = Field(
        None,
        validation_alias=AliasChoices("USAGE_DASHBOARD_AUTH", "auth"),
        description="`oidc`: people sign in. `header`: a proxy signs them in. `none`: everybody who reaches the address"
        " is an administrator. Needed with DATABASE_URL.",
    )
    admin_emails: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="E-mail addresses of the first administrators, with commas; they open the page Access."
    )
    admin_contact: str = Field("", max_length=200, description="Whom to ask for a role, as people are told.")
    access_file: Path | None = Field(
        None, description="TOML file of roles and tenants, in place of the table that the page Access writes."
    )
    groups_claim: str = Field("groups", max_length=200, description="The claim that names a person's groups.")
    sign_in_lasts_h: float = Field(12.0, ge=0.1, le=720, description="People sign in again after this; 0.1 to 720.")
    trusted_header: str | None = Field(
        None, description="With `header`: the header in which the proxy names the e-mail address, as X-Forwarded-Email."
    )
    trusted_proxies: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode] = Field(
        (), description="With `header`: the proxy's addresses or networks, with commas. From others it is not believed."
    )
    data: Path = Field(
        ROOT / ".data",
        validation_alias=AliasChoices("USAGE_DASHBOARD_DATA", "data"),
        description="Folder of the embedded PostgreSQL.",
    )
    mapping_file: Path | None = Field(
        None,
        description="TOML file that maps tables, columns and values. Default: `usage-dashboard.toml` in the working"
        " folder where there is one, else Prisma's names.",
    )
    address: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8501, ge=1, le=65535, description="Port to listen on, 1 to 65535.")
    reporting_zone: str = Field("UTC", description="IANA time zone of days and months, such as Europe/Berlin.")
    statement_timeout_s: float = Field(
        20.0, ge=0.1, le=600, description="A statement is stopped after this; 0.1 to 600."
    )
    slow_query_ms: float = Field(250.0, ge=1, le=600_000, description="Database time from which a statement is slow.")
    row_limit: int = Field(50_000, ge=100, le=5_000_000, description="Rows a statement may return to a page.")
    pool_size: int = Field(8, ge=1, le=100, description="Database connections of this process.")
    pool_wait_s: float = Field(10.0, ge=0.1, le=120, description="Longest wait for a free connection.")
    wake_wait_s: float = Field(
        30.0, ge=0, le=300, description="Longest wait for a database that sleeps or starts; 0 to 300."
    )
    cache_bytes: int = Field(256 * 2**20, ge=2**20, le=2**36, description="Bytes of results kept in this process.")
    cache_ttl_s: float = Field(300.0, ge=1, le=86_400, description="A result is fresh for this long; 1 to 86400.")
    cache_live_ttl_s: float = Field(60.0, ge=1, le=3600, description="The same for what changes by the minute.")
    cache_stale_s: float = Field(
        900.0, ge=0, le=86_400, description="An older result may stand in this long while the new one is computed."
    )
    query_log_days: int = Field(30, ge=1, le=3650, description="Days that the query log keeps.")
    aggregate_refresh_s: float = Field(
        300.0, ge=0, le=86_400, description="Seconds between two refreshes of the aggregates; 0: none by this process."
    )
    digest_webhook_url: SecretStr | None = Field(
        None, description="Slack-compatible webhook (https://...) that `digest` posts to. Unset: it prints."
    )
    alert_webhook_url: SecretStr | None = Field(
        None,
        description="Slack-compatible webhook (https://...) that slow queries and regressions are posted to."
        " Unset: alerts are off.",
    )
    alert_every_s: float = Field(
        3600.0, ge=60, le=86_400, description="The same query is told again after this at the earliest; 60 to 86400."
    )
    alert_most_per_hour: int = Field(
        10, ge=1, le=100, description="Alerts sent in an hour at most, by all processes together; 1 to 100."
    )
    close_grace_h: float = Field(
        24.0, ge=0, le=744, description="A month can be closed so many hours after its end; 0 to 744."
    )
    exports_at_once: int = Field(2, ge=1, le=20, description="Exports that this process streams at once; others wait.")
    export_timeout_s: float = Field(
        600.0, ge=1, le=86_400, description="An export's statement is stopped after this; 1 to 86400."
    )
    export_link_s: float = Field(300.0, ge=10, le=3600, description="The link to an export is good for this long.")
    log_format: Literal["text", "json"] = Field("text", description="`text` for a terminal, `json` for a collector.")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Least severe line logged.")

    @field_validator("admin_emails", mode="before")
    @classmethod
    def _emails(cls, value: Any) -> Any:
        found = _parts(value)
        if wrong := [one for one in found if email_address(one) is None]:
            raise ValueError(f"{wrong[0]!r} is no e-mail address; addresses with commas between them are accepted")
        return tuple(email_address(one) for one in found)

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _networks(cls, value: Any) -> Any:
        try:
            return tuple(ip_network(str(one)) for one in _parts(value))
        except ValueError as error:
            raise ValueError(f"{error}; addresses such as 10.0.0.5 or 10.0.0.0/24 are accepted") from None

    @field_validator("trusted_header")
    @classmethod
    def _header_name(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"[A-Za-z0-9-]{1,100}", value):
            raise ValueError("the name of a header, of letters, digits and -, is accepted")
        return value

    @field_validator("reporting_zone")
    @classmethod
    def _zone_exists(cls, value: str) -> str:
        if value not in zoneinfo.available_timezones():
            raise ValueError("an IANA time zone such as UTC or Europe/Berlin is accepted")
        return value

    @field_validator("database_url", "direct_url")
    @classmethod
    def _postgresql_only(cls, value: SecretStr | None) -> SecretStr | None:
        accepted = ("postgresql://", "postgres://")
        if value is not None and not value.get_secret_value().startswith(accepted):
            raise ValueError("an address that starts with postgresql:// is accepted")
        return value

    @field_validator("digest_webhook_url", "alert_webhook_url")
    @classmethod
    def _https_or_local(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not _is_https_or_local(value.get_secret_value()):
            raise ValueError("an address that starts with https:// is accepted, and http:// to localhost")
        return value

    @field_validator("redis_url")
    @classmethod
    def _redis_only(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("an address that starts with redis://, rediss:// or unix:// is accepted")
        return value


def _parts(value: Any) -> list[Any]:
    """What stands between the commas of a text, or the values of a list."""
    if isinstance(value, str):
        return [one.strip() for one in value.split(",") if one.strip()]
    return list(value)


def _is_https_or_local(address: str) -> bool:
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    host = parts.hostname or ""
    return (parts.scheme == "https" and bool(host)) or (parts.scheme == "http" and host in LOCAL_HOSTS)


def load_settings(**overrides: object) -> Settings:
    """The settings of the environment, with overrides; SettingsError names each wrong variable."""
    try:
        return Settings(**overrides)  # type: ignore[arg-type]  # pydantic checks each value itself
    except ValidationError as error:
        raise SettingsError("\n".join(_sentence(dict(item)) for item in error.errors(include_input=False))) from None


def environment_name(field: str) -> str:
    """The environment variable of a field: its alias, or its name in capitals."""
    alias = Settings.model_fields[field].validation_alias
    return str(alias.choices[0]) if isinstance(alias, AliasChoices) else field.upper()


def _sentence(item: dict[str, object]) -> str:
    location = item.get("loc")
    first = str(location[0]) if isinstance(location, tuple) and location else "settings"
    field = first.lower()
    name = environment_name(field) if field in Settings.model_fields else first
    reason = str(item.get("msg", "not accepted")).removeprefix("Value error, ")
    described = Settings.model_fields[field].description if field in Settings.model_fields else None
    return f"{name} is not accepted: {reason[:1].lower()}{reason[1:]}." + (f" {described}" if described else "")
