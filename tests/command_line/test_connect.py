"""`connect` as a person runs it: what it prints, asks, writes and refuses, on real databases."""

import socket
import ssl
import threading
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from typer.testing import CliRunner, Result

from dashboard.cli import app
from queries.connect.answers import answers_of
from queries.connect.catalog import require_version
from queries.connect.samples import masked
from queries.errors import ConnectError, UsageDashboardError
from queries.mapping import load_mapping
from tests.conftest import SUPERUSER, Server
from tests.queries.connect.schemas.making import may_create_schemas
from tests.queries.connect.schemas.organizations import two_joins, uuid_teams
from tests.queries.connect.schemas.persons import no_status
from tests.queries.connect.world import world

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """The command in a folder of the test's own; its code and all that it said."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("DATABASE_URL", raising=False)

    def ran(*arguments: str, typed: str | None = None) -> tuple[int, str]:
        done: Result = CliRunner().invoke(app, ["connect", *arguments], input=typed)
        if isinstance(done.exception, UsageDashboardError):
            return 1, f"{done.output}error: {done.exception.message}"
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done.exit_code, done.output

    return ran


@pytest.fixture
def teams_url(empty_database_url: str) -> str:
    with psycopg.connect(empty_database_url) as connection:
        uuid_teams(connection, world())
    return empty_database_url


def let_make_schemas(server: Server, url: str) -> None:
    with server.superuser(urlsplit(url).path.removeprefix("/")) as connection:
        may_create_schemas(connection)


def flat(text: str) -> str:
    return " ".join(text.replace("│", " ").split())


def test_yes_writes_a_mapping_and_checks_every_page(run: Run, teams_url: str, tmp_path: Path) -> None:
    code, said = run(teams_url, "--yes")
    assert code == 0, said
    mapping = load_mapping(tmp_path / "usage-dashboard.toml")
    assert mapping.tables["generation"].select is not None
    assert "* 1000" in mapping.tables["generation"].select
    assert mapping.values["generation_status"]["unfinished"] == ("IN_QUEUE",)
    for page in ("Tenants", "Tenant", "Credit burn", "Timelines", "Statements", "Exports"):
        assert f"│ {page} " in said
    assert "4 tenants" in said
    for step in ("grant-sql", "migrate", "dashboard run"):
        assert step in said
    # Every proposal has a reason, and no sample tells a secret.
    assert "told by its name" in said or "a foreign key" in said
    password = urlsplit(teams_url).password or "none"
    text = (tmp_path / "usage-dashboard.toml").read_text(encoding="utf-8")
    for part in (said, text):
        assert password not in part
        assert "lighthouse number" not in part
        assert "person1@example.org" not in part
    assert "p…@…" in said


def test_a_file_that_is_there_is_not_written_over_without_force(run: Run, teams_url: str, tmp_path: Path) -> None:
    path = tmp_path / "usage-dashboard.toml"
    path.write_text("# mine\n", encoding="utf-8")
    code, said = run(teams_url, "--yes")
    assert (code, path.read_text(encoding="utf-8")) == (1, "# mine\n")
    assert "is there already" in said
    assert run(teams_url, "--yes", "--force")[0] == 0
    assert "[tables.generation]" in path.read_text(encoding="utf-8")
    assert [one.name for one in tmp_path.iterdir()] == ["usage-dashboard.toml"]


def test_what_is_not_known_is_asked_and_answered(run: Run, empty_database_url: str, tmp_path: Path) -> None:
    with psycopg.connect(empty_database_url) as connection:
        no_status(connection, world())
    code, said = run(empty_database_url, "--out", "other.toml", typed="much\n3\n")
    assert code == 0, said
    assert "'much', which is no number of credits" in flat(said)
    assert "known to say what a generation cost. What does each cost?" in flat(said)
    select = load_mapping(tmp_path / "other.toml").tables["generation"].select
    assert select is not None
    assert "3::integer AS credits_used" in select
    assert "MAPPING_FILE=other.toml python -m dashboard migrate" in flat(said) or "MAPPING_FILE=other.toml" in said
    nobody, refused = run(empty_database_url, "--out", "third.toml", typed="")
    assert nobody == 1
    assert 'credits = "none"' in refused
    assert "1 answer is missing; put the lines above into a file" in flat(refused)
    assert "or take the best guesses by --yes" in flat(refused)
    assert not (tmp_path / "third.toml").exists()


def test_deleted_rows_are_asked_for_and_told(run: Run, empty_database_url: str, server: Server, tmp_path: Path) -> None:
    let_make_schemas(server, empty_database_url)
    with psycopg.connect(empty_database_url) as connection:
        two_joins(connection, world())
    wrong_first, said = run(empty_database_url, typed="perhaps\ncount\n")
    assert wrong_first == 0, said
    assert "That is none of leave out, count." in flat(said)
    note = load_mapping(tmp_path / "usage-dashboard.toml").tables["generation"].note
    assert note == 'rows of studio.render that "deleted_at" marks as deleted are counted as well'


def test_what_was_typed_is_in_the_file_of_answers_that_are_missing(run: Run, empty_database_url: str) -> None:
    with psycopg.connect(empty_database_url) as connection:
        connection.execute(
            """CREATE TABLE teams (id int PRIMARY KEY, name text, archived_at timestamptz);
            CREATE TABLE jobs (id int PRIMARY KEY, team_id int NOT NULL REFERENCES teams, prompt text, model text,
              state text, created_at timestamp);
            INSERT INTO teams VALUES (1, 'A');
            INSERT INTO jobs SELECT n, 1, 'p', 'm', (ARRAY['done', 'odd', 'odder'])[1 + n % 3], now()
              FROM generate_series(1, 6) AS n"""
        )
    code, said = run(empty_database_url, typed="none\nfailed\n")
    assert code == 1
    # What was seen is shown before the first of these questions, and not again.
    assert said.count("done (2 rows): succeeded") == 2, "when it was asked, and in the file"
    lines = [one for one in said.partition('credits = "none"')[2].splitlines() if not one.startswith("#")]
    answers = 'credits = "none"' + "\n".join(lines).partition("error:")[0]
    assert answers_of(tomllib.loads(answers)).given == {
        ("credits",): "none",
        ("values", "generation_status", "odd"): "failed",
        ("values", "generation_status", "odder"): "",
        ("deleted", "teams"): "leave out",
    }


def test_columns_that_nothing_reads_are_told_a_line_for_each_table(run: Run, teams_url: str) -> None:
    with psycopg.connect(teams_url) as connection:
        connection.execute('ALTER TABLE teams ADD monthly_fee numeric, ADD "a\nb" text')
        connection.execute("UPDATE teams SET monthly_fee = 98765")
    code, said = run(teams_url, "--yes")
    assert code == 0, said
    lines = said.partition("Columns that nothing reads, of tables that are used:\n")[2].splitlines()
    assert lines[0].startswith("  teams (organization): monthly_fee (an amount?); also")
    assert "a b" in lines[0], "a name cannot begin another line"
    assert "98765" not in said


def test_what_is_not_used_is_told_at_the_end(run: Run, teams_url: str, tmp_path: Path) -> None:
    with psycopg.connect(teams_url) as connection:
        connection.execute("INSERT INTO webhooks SELECT gen_random_uuid(), id, 'https://x.example', now() FROM teams")
        connection.execute("ALTER TABLE wallet_transactions RENAME TO tallies")
    code, said = run(teams_url, "--yes")
    assert code == 0, said
    end = flat(said).partition("The pages, asked once")[2]
    assert "Not used: tallies (about " in end
    assert 'by tallies.team_id. To use it, answer [tables] credit_transaction = "tallies".' in end
    assert "Not used, though they lead to the tenant: webhooks (about 4 rows)." in end


def test_two_candidates_for_the_tenant_are_not_guessed(run: Run, empty_database_url: str, tmp_path: Path) -> None:
    with psycopg.connect(empty_database_url) as connection:
        connection.execute(
            """CREATE TABLE organizations (id int PRIMARY KEY, name text);
            CREATE TABLE workspaces (id int PRIMARY KEY, name text);
            CREATE TABLE generations (id int PRIMARY KEY, organization_id int REFERENCES organizations,
              workspace_id int REFERENCES workspaces, prompt text, model text, status text, created_at timestamp)"""
        )
    code, said = run(empty_database_url, "--yes")
    assert code == 1
    assert "more than one table could be the tenant: organizations" in flat(said)
    assert 'tenant = "organizations" # or "workspaces"' in flat(said)
    assert "name it by --answers" in flat(said)
    assert "--yes" not in said.partition("missing")[2], "which would not help"
    (tmp_path / "answers.toml").write_text('tenant = "workspacse"\n', encoding="utf-8")
    code, said = run(empty_database_url, "--yes", "--answers", "answers.toml")
    assert code == 1
    assert "did you mean 'workspaces'?" in flat(said)
    (tmp_path / "answers.toml").write_text('tenant = "workspaces"\n', encoding="utf-8")
    code, said = run(empty_database_url, "--yes", "--answers", "answers.toml")
    assert code == 0, said
    assert load_mapping(tmp_path / "usage-dashboard.toml").tables["organization"].name == "workspaces"


@contextmanager
def listening(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """Something that is not PostgreSQL, and what it does to whoever calls."""
    with socket.create_server(("127.0.0.1", 0)) as door:

        def serve() -> None:
            while True:
                try:
                    caller, _ = door.accept()
                except OSError:
                    return
                with caller:
                    answer(caller)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield door.getsockname()[1]
        door.shutdown(socket.SHUT_RDWR)
    thread.join(timeout=5)


def as_a_web_server(caller: socket.socket) -> None:
    caller.recv(1_024)
    caller.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def test_what_cannot_be_connected_ends_in_one_sentence(run: Run, server: Server, tmp_path: Path) -> None:
    good = urlsplit(server.superuser_url)
    secret = "s3cr3t-that-is-nowhere"
    host = good.hostname or ""
    port = good.port or 5432
    with listening(as_a_web_server) as web, socket.create_server(("127.0.0.1", 0)) as unused:
        free = unused.getsockname()[1]
        unused.close()
        cases = {
            f"postgresql://usage_dashboard_reader:{secret}@{host}:{port}/postgres": "refused the role or its password",
            f"postgresql://u:{secret}@no-such-host.invalid/app": "the database's host is not known",
            f"postgresql://u:{secret}@127.0.0.1:{free}/app": "nothing that lets us in answers at 127.0.0.1",
            f"postgresql://u:{secret}@127.0.0.1:{web}/app": "is not PostgreSQL",
            f"{server.superuser_url}?sslmode=require": "does not speak TLS",
            server.url("no_such_database", SUPERUSER): "there is no database of this name",
            f"mysql://u:{secret}@localhost/app": "this program reads PostgreSQL",
            f"prisma://u:{secret}@localhost/app": "this program reads PostgreSQL",
            "postgresql://u:pw@host:port/app": "the database address cannot be read",
        }
        for url, words in cases.items():
            code, said = run(url, "--yes")
            assert code == 1
            assert words in flat(said), (url, said)
            assert len([line for line in said.splitlines() if line.strip()]) == 1, said
            assert secret not in said
            assert (good.password or secret) not in said
    assert list(tmp_path.iterdir()) == []


def self_signed(folder: Path) -> ssl.SSLContext:
    """A certificate that nobody trusts."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = folder / "own.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


def test_a_certificate_that_nobody_trusts_ends_in_one_sentence(run: Run, tmp_path: Path) -> None:
    context = self_signed(tmp_path)

    def answer(caller: socket.socket) -> None:
        caller.recv(8)  # may we speak TLS?
        caller.sendall(b"S")
        with suppress(ssl.SSLError, OSError), context.wrap_socket(caller, server_side=True) as wrapped:
            wrapped.recv(1)

    with listening(answer) as port:
        code, said = run(f"postgresql://u:pw@localhost:{port}/app?sslmode=verify-full&sslrootcert=system", "--yes")
        assert code == 1
        assert "the server's certificate is not trusted" in flat(said)
        code, said = run(f"postgresql://u:pw@localhost:{port}/app?sslmode=verify-ca&sslrootcert=/nowhere", "--yes")
        assert code == 1
        assert "the root certificates cannot be read" in flat(said)


def test_a_server_that_is_too_old_is_refused() -> None:
    require_version(140_000)
    with pytest.raises(ConnectError, match="is PostgreSQL 11, and 14 or newer is needed"):
        require_version(110_022)


def test_an_empty_schema_and_no_address_end_in_one_sentence(run: Run, empty_database_url: str) -> None:
    code, said = run(empty_database_url, "--yes")
    assert code == 1
    assert "holds no table that this role may know of" in flat(said)
    code, said = run("--yes")
    assert code == 1
    assert "no database is named" in flat(said)


def test_a_role_that_may_not_read_is_told_so(run: Run, empty_database_url: str, server: Server) -> None:
    let_make_schemas(server, empty_database_url)
    with psycopg.connect(empty_database_url) as connection:
        two_joins(connection, world())
        connection.execute("GRANT USAGE ON SCHEMA studio TO usage_dashboard_reader")
    database = urlsplit(empty_database_url).path.removeprefix("/")
    code, said = run(server.url(database, "usage_dashboard_reader"), "--yes")
    assert code == 1
    assert "this role may not read studio.render" in flat(said)


def test_prisma_alone_needs_no_database(run: Run, tmp_path: Path) -> None:
    (tmp_path / "schema.prisma").write_text(
        """model User {
          id Int @id
          email String
          runs Run[]
        }
        model Run {
          id Int @id
          user User @relation(fields: [userId], references: [id])
          userId Int @map("user_id")
          prompt String
          model String
          credits Int
          createdAt DateTime @map("created_at")
          @@map("generations")
        }""",
        encoding="utf-8",
    )
    code, said = run("--prisma", "schema.prisma", "--yes")
    assert code == 0, said
    select = load_mapping(tmp_path / "usage-dashboard.toml").tables["generation"].select
    assert select is not None
    assert 't."user_id" AS tenant_id' in select
    assert 'FROM "public"."generations"' in select
    assert "asked once" not in said


@pytest.mark.parametrize(
    ("value", "meaning", "shown"),
    [
        ("a lighthouse at dawn, oil on canvas", "prompt", "a lighth… (35 characters)"),
        ("ann@example.org", "", "a…@…"),
        ("written to ann@example.org yesterday", "", "w…@…"),
        ("https://user:pw@cdn.example/a/b?sig=1", "url", "https://cdn.example/…"),
        ("s3://bucket/key", "", "s3://bucket/…"),
        ("Ann Example", "name", "Ann…"),
        ("12345", "", "12345"),
        ("x" * 50, "", "x" * 24 + "…"),
        ("2048 bytes", "data", "2048 bytes"),
        ("iVBORw0KGgo", "data", "11 characters"),
        ("", "prompt", ""),
    ],
)
def test_samples_tell_no_secret(value: str, meaning: str, shown: str) -> None:
    assert masked(value, meaning) == shown
