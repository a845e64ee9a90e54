"""What a failed connection means, in our words. libpq hands over no SQLSTATE for one, only text: its own, the server's,
a pooler's. So the text is looked through for what is known; nothing of it is repeated: an address may hold secrets.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

# `refused`: asking again with the same address alone will not help. `waking`: it sleeps, starts or recovers, and comes
# up by itself. `away`: it cannot be reached, or has no connection left.
Kind = Literal["refused", "waking", "away"]


@dataclass(frozen=True, slots=True)
class Trouble:
    """What kind of failure it is, and a lower-case fact with its fix."""

    kind: Kind
    sentence: str


UNKNOWN = Trouble("away", "the database does not answer; the page tries again by itself")

# How the sentences call the address.
ADDRESS = "DATABASE_URL or DIRECT_URL"
# In this order: of two attempts (two addresses of a host, with and without TLS) the one that says most counts.
_KNOWN: tuple[tuple[str, Kind, str], ...] = (
    (
        # PgBouncer's "no such user" and "SASL authentication failed" among PostgreSQL's own.
        r"password authentication failed|no password supplied|SASL authentication failed|no such user"
        r"|role \"[^\"]*\" does not exist|authentication failed for user|is not permitted to log in",
        "refused",
        f"the database refused the role or its password; check both in {ADDRESS}, where characters such as @ : / and %"
        " are written as %40 %3A %2F and %25",
    ),
    (
        r"database \"[^\"]*\" does not exist|no such database",
        "refused",
        f"there is no database of this name on the server; check the last part of {ADDRESS}",
    ),
    (
        r"^(?!.*, SSL encryption).*no pg_hba\.conf entry.*no encryption|connection requires a valid client certificate"
        r"|connection is insecure",
        "refused",
        f"the server asks for TLS or a client certificate; add sslmode=require (and sslcert, sslkey) to {ADDRESS}",
    ),
    (
        r"no pg_hba\.conf entry|pg_hba\.conf rejects",
        "refused",
        "the server lets this role or this machine not in (pg_hba.conf); ask who runs it to allow both",
    ),
    (
        r"could not translate host name|failed to resolve host|Name or service not known|nodename nor servname"
        r"|No address associated with hostname",
        "refused",
        f"the database's host is not known; check its name in {ADDRESS}",
    ),
    (
        r"does not match host name|certificate .* for .* hostname mismatch",
        "refused",
        f"the server's certificate is for another host; write the host that it was made for in {ADDRESS}",
    ),
    (
        r"certificate verify failed|certificate has expired|self[- ]signed certificate",
        "refused",
        f"the server's certificate is not trusted; set sslrootcert in {ADDRESS} to the certificate of who signed it,"
        " or to system",
    ),
    (
        r"root certificate file|could not load (?:system )?root certificate|weak sslmode",
        "refused",
        f"the root certificates cannot be read; set sslrootcert in {ADDRESS} to their file, or to system"
        " with sslmode=verify-full",
    ),
    (
        r"could not (?:read|load) (?:certificate|private key) file|private key file|certificate file",
        "refused",
        f"the client's certificate or its key cannot be read; check sslcert and sslkey in {ADDRESS}, and who may read"
        " the files",
    ),
    (
        r"server does not support SSL|channel binding .* required|server requires channel binding",
        "refused",
        f"the server does not speak TLS as {ADDRESS} asks for it; turn TLS on there, or, only on a network that you"
        " trust, write sslmode=disable",
    ),
    (
        r"invalid response to SSL negotiation|expected authentication request|wrong version number"
        r"|unsupported frontend protocol|lost synchronization with server|invalid message (?:length|type)"
        r"|packet length too long|record layer failure|unexpected message|message contents do not agree",
        "refused",
        f"what answers there is not PostgreSQL; check host and port in {ADDRESS}",
    ),
    (
        r"invalid (?:sslmode|sslnegotiation|channel_binding|gssencmode|target_session_attrs|port|connection option)"
        r"|invalid integer value|invalid URI query parameter|invalid .* value:",
        "refused",
        f"an option of {ADDRESS} is not known or has a value that is not accepted; write it as PostgreSQL's connection"
        " parameters are",
    ),
    (
        r"too many (?:clients|connections)|remaining connection slots|no more connections allowed|query_wait_timeout"
        r"|too many connections for",
        "away",
        "the database has no connection left; wait for others to end, or lower POOL_SIZE",
    ),
    (
        # PostgreSQL's own, a pooler before a server that starts, and providers' proxies.
        r"starting up|in recovery mode|not yet accepting connections|shutting down|server login has been failing"
        r"|server_login_retry|compute node|control plane|timeout expired",
        "waking",
        "the database sleeps, starts or cannot be reached, and did not answer in time; the page tries again by itself",
    ),
)
_COMPILED = tuple((re.compile(one, re.IGNORECASE | re.DOTALL), Trouble(kind, said)) for one, kind, said in _KNOWN)


def trouble_of(text: str) -> Trouble:
    """What this text of a failed connection means."""
    return next((trouble for pattern, trouble in _COMPILED if pattern.search(text)), UNKNOWN)
