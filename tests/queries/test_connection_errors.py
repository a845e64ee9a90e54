"""A connection that fails says what to do, in words of ours, and never repeats what stands in the address."""

import datetime as dt
import socket
import ssl
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from queries.connection_errors import UNKNOWN, trouble_of
from queries.database import Database
from queries.errors import DatabaseRefusedError, DatabaseUnavailableError, DatabaseWakingError
from queries.settings import Settings
from tests import on_the_way
from tests.conftest import READER, Server

SECRET = "s3cret-word"


@pytest.fixture(scope="module")
def reader_url(server: Server, shared_database: str) -> str:
    return server.url(shared_database, READER)


def refusal(url: str, kind: type[DatabaseUnavailableError] = DatabaseRefusedError) -> str:
    """What is said when this address is asked; nothing of it may be repeated."""
    database = Database(Settings(database_url=url, wake_wait_s=0))  # type: ignore[arg-type]
    try:
        with pytest.raises(DatabaseUnavailableError) as refused:
            database.tables()
    finally:
        database.close()
    error = refused.value
    assert type(error) is kind, error.message
    assert SECRET not in error.message
    assert (urlsplit(url).username or "nobody") not in error.message
    assert error.message[0].islower()
    assert ";" in error.message, "the fix is missing"
    return error.message


def test_a_wrong_password(reader_url: str) -> None:
    parts = urlsplit(reader_url)
    wrong = reader_url.replace(f":{parts.password}@", f":{SECRET}@")
    assert "refused the role or its password; check both" in refusal(wrong)


def test_a_role_and_a_database_that_are_not_there(reader_url: str) -> None:
    parts = urlsplit(reader_url)
    nobody = reader_url.replace(f"{parts.username}:{parts.password}@", f"no_such_role:{SECRET}@")
    assert "refused the role or its password" in refusal(nobody)
    assert "no database of this name" in refusal(parts._replace(path="/not_there").geturl())


def test_an_unknown_host() -> None:
    assert "host is not known; check its name" in refusal(f"postgresql://ada:{SECRET}@nowhere.invalid/app")


def test_a_server_without_tls_where_tls_is_asked_for(reader_url: str) -> None:
    assert "does not speak TLS as DATABASE_URL" in refusal(f"{reader_url}?sslmode=require")


def test_an_option_that_is_not_known(reader_url: str) -> None:
    for option in ("sslmode=sometimes", "sslmood=require"):
        assert "an option of DATABASE_URL" in refusal(f"{reader_url}?{option}")


def test_nothing_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    said = refusal(f"postgresql://ada:{SECRET}@127.0.0.1:{port}/app", DatabaseUnavailableError)
    assert said == UNKNOWN.sentence


def web(client: socket.socket) -> None:
    client.recv(100)
    client.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")


def mysql(client: socket.socket) -> None:
    client.sendall(b"J\x00\x00\x00\x0a8.4.0\x00" + bytes(60))
    client.recv(100)


def secure_shell(client: socket.socket) -> None:
    client.sendall(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n")
    client.recv(1000)


@pytest.mark.parametrize(
    ("kind", "mode"),
    # To TLS as to PostgreSQL the S of SSH says yes; what follows then is no TLS, and says nothing clear.
    [*((kind, mode) for kind in (web, mysql) for mode in ("prefer", "disable", "require")), (secure_shell, "disable")],
)
def test_something_that_is_no_postgresql(kind: Callable[[socket.socket], None], mode: str) -> None:
    with on_the_way.answering(kind) as port:
        url = f"postgresql://ada:{SECRET}@127.0.0.1:{port}/app?sslmode={mode}"
        assert "what answers there is not PostgreSQL; check host and port" in refusal(url)


def old_server(version: str) -> Callable[[socket.socket], None]:
    def answer(client: socket.socket) -> None:
        on_the_way.startup_of(client)
        ready = b"R" + struct.pack("!II", 8, 0) + on_the_way.parameter("server_version", version)
        ready += on_the_way.parameter("client_encoding", "UTF8") + b"Z" + struct.pack("!I", 5) + b"I"
        client.sendall(ready)
        client.recv(100)

    return answer


@pytest.mark.parametrize(("version", "named"), [("11.22", "11"), ("9.6.24", "9"), ("13.16", "13"), ("8.0.2", "8")])
def test_a_server_too_old_is_named_with_what_is_needed(version: str, named: str) -> None:
    with on_the_way.answering(old_server(version)) as port:
        said = refusal(f"postgresql://ada:{SECRET}@127.0.0.1:{port}/app")
    assert f"PostgreSQL {named}, and the dashboard's statements need 14 or newer; upgrade it" in said


def test_a_server_that_starts_is_waited_for_and_then_said_to_wake() -> None:
    def starting(client: socket.socket) -> None:
        on_the_way.startup_of(client)
        client.sendall(on_the_way.error_message("FATAL", "57P03", "the database system is starting up"))

    with on_the_way.answering(starting) as port:
        url = f"postgresql://ada:{SECRET}@127.0.0.1:{port}/app"
        assert "sleeps, starts or cannot be reached" in refusal(url, DatabaseWakingError)


@pytest.fixture(scope="module")
def tls_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    """A port that speaks TLS as PostgreSQL does, and its certificate, which is for another host."""
    folder = tmp_path_factory.mktemp("tls")
    key, now = ec.generate_private_key(ec.SECP256R1()), dt.datetime.now(dt.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "db.example")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("db.example")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate, both = folder / "root.pem", folder / "both.pem"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    both.write_bytes(secret + certificate.read_bytes())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(both)

    def answer(client: socket.socket) -> None:
        client.recv(8)
        client.sendall(b"S")
        with suppress(ssl.SSLError), context.wrap_socket(client, server_side=True) as secured:
            secured.recv(1000)
            secured.sendall(on_the_way.error_message("FATAL", "28P01", 'password authentication failed for user "ada"'))

    with on_the_way.answering(answer) as port:
        yield port, certificate


def test_a_certificate_that_nobody_trusts(tls_server: tuple[int, Path]) -> None:
    port, _ = tls_server
    url = f"postgresql://ada:{SECRET}@localhost:{port}/app?sslmode=verify-full&sslrootcert=system"
    assert "certificate is not trusted; set sslrootcert" in refusal(url)


def test_root_certificates_that_are_not_there(tls_server: tuple[int, Path], tmp_path: Path) -> None:
    port, _ = tls_server
    url = f"postgresql://ada:{SECRET}@localhost:{port}/app?sslmode=verify-full&sslrootcert={tmp_path / 'none.pem'}"
    assert "the root certificates cannot be read" in refusal(url)


def test_a_certificate_of_another_host(tls_server: tuple[int, Path]) -> None:
    port, root = tls_server
    url = f"postgresql://ada:{SECRET}@127.0.0.1:{port}/app?sslmode=verify-full&sslrootcert={root}"
    assert "certificate is for another host" in refusal(url)


def test_tls_options_of_the_address_are_honoured(tls_server: tuple[int, Path]) -> None:
    """With the right certificate the server is spoken to, and it is the server that refuses."""
    port, root = tls_server
    url = f"postgresql://ada:{SECRET}@127.0.0.1:{port}/app?sslmode=verify-ca&sslrootcert={root}"
    assert "refused the role or its password" in refusal(url)


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        ("connection failed: FATAL:  no such user: ada", "refused", "role or its password"),
        ("FATAL:  no such database: app", "refused", "no database of this name"),
        ('FATAL:  no pg_hba.conf entry for host "10.0.0.7", user "a", database "b", no encryption', "refused", "TLS"),
        (
            'FATAL: no pg_hba.conf entry for host "::1", user "a", database "b", SSL encryption\n'
            'FATAL: no pg_hba.conf entry for host "::1", user "a", database "b", no encryption',
            "refused",
            "lets this role or this machine not in",
        ),
        ("FATAL:  sorry, too many clients already", "away", "no connection left"),
        ("FATAL:  remaining connection slots are reserved for roles with SUPERUSER", "away", "no connection left"),
        ("FATAL:  no more connections allowed (max_client_conn)", "away", "no connection left"),
        ("FATAL:  the database system is shutting down", "waking", "sleeps, starts"),
        ("FATAL:  the database system is in recovery mode", "waking", "sleeps, starts"),
        ("server login has been failing, try again later (server_login_retry)", "waking", "sleeps, starts"),
        ("ERROR:  Couldn't connect to compute node", "waking", "sleeps, starts"),
        ("connection timeout expired", "waking", "sleeps, starts"),
        # Of two addresses of a host the one that says most counts.
        ('::1: Connection refused\n127.0.0.1: FATAL:  password authentication failed for user "a"', "refused", "role"),
        ("::1: Connection refused\n127.0.0.1: FATAL:  the database system is starting up", "waking", "sleeps"),
        ("server closed the connection unexpectedly", "away", "does not answer"),
        ("", "away", "does not answer"),
    ],
)
def test_what_servers_poolers_and_providers_say(text: str, kind: str, said: str) -> None:
    trouble = trouble_of(text)
    assert trouble.kind == kind
    assert said in trouble.sentence


def test_a_start_on_a_database_that_lets_nobody_in_is_refused(reader_url: str, monkeypatch: Any) -> None:
    from dashboard.commands import run

    wrong = urlsplit(reader_url)._replace(path="/not_there").geturl()
    settings = Settings(database_url=wrong, USAGE_DASHBOARD_AUTH="none")  # type: ignore[arg-type,call-arg]
    with pytest.raises(DatabaseRefusedError, match="no database of this name"):
        run._own_database(settings)
