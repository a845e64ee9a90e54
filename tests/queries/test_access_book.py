"""Where rules are kept, and how old they may be."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from queries.access import Identity, Rule, first_administrators
from queries.access_book import BELIEVED_S, REREAD_S, AccessBook, NoRules, RuleFile, RuleTable
from queries.database import driver_url
from queries.errors import ArgumentError, DatabaseUnavailableError, NotFoundError, SettingsError

ADA = Identity("id:default:1", "ada@example.com", sign_in="first")
EVE = Identity("id:default:2", "eve@example.com", sign_in="second")
OF_ADA = Rule("email", "ada@example.com", "account_manager", ("a", "b"), may_read_prompts=True)


class Memory(NoRules):
    """Rules that a test changes, and a clock that it moves."""

    def __init__(self, *rules: Rule) -> None:
        self.rules, self.error, self.reads, self.now = list(rules), None, 0, 1_000.0  # type: ignore[var-annotated]

    def read(self) -> list[Rule]:
        self.reads += 1
        if self.error is not None:
            raise self.error
        return list(self.rules)


@pytest.fixture
def table(owner_url: str) -> Iterator[RuleTable]:
    engine = sa.create_engine(driver_url(owner_url), poolclass=sa.NullPool)
    yield RuleTable(engine)
    engine.dispose()


def book_of(source: Memory, *always: str) -> AccessBook:
    return AccessBook(source, first_administrators(always), remembers_s=3600, clock=lambda: source.now)


def test_rules_are_read_again_in_time_and_not_before() -> None:
    source = Memory(OF_ADA)
    book = book_of(source)
    assert [one.role for one in book.grants(ADA)] == ["account_manager"]
    source.rules.clear()
    source.now += REREAD_S - 1
    assert book.grants(ADA)
    source.now += 1
    assert not book.grants(ADA)
    assert source.reads == 2


def test_what_was_changed_here_counts_at_once() -> None:
    source = Memory(OF_ADA)
    book = book_of(source)
    assert book.grants(ADA)
    source.rules.clear()
    book.forget()
    assert not book.grants(ADA)


def test_a_database_that_is_away_is_believed_for_a_while_and_then_nobody_sees_anything() -> None:
    source = Memory(OF_ADA)
    book = book_of(source, "eve@example.com")
    assert book.grants(ADA)
    source.error = DatabaseUnavailableError("the host db.internal does not answer")
    source.now += REREAD_S
    assert book.grants(ADA)
    source.now += BELIEVED_S - REREAD_S
    for who in (ADA, EVE):
        with pytest.raises(DatabaseUnavailableError, match="just now") as error:
            book.grants(who)
        assert "db.internal" not in error.value.message
    source.error = None
    source.now += 1
    assert book.grants(ADA)


def test_less_than_a_minute_passes_in_all() -> None:
    assert max(REREAD_S, BELIEVED_S) + 10 < 60


def test_what_cannot_be_understood_lets_nobody_in() -> None:
    source = Memory(OF_ADA)
    book = book_of(source)
    assert book.grants(ADA)
    source.error = SettingsError("ACCESS_FILE is not accepted: entry 3")
    source.now += REREAD_S
    with pytest.raises(SettingsError, match="whoever runs this server"):
        book.grants(ADA)
    reads = source.reads
    with pytest.raises(SettingsError):
        book.grants(ADA)
    assert source.reads == reads, "not everybody tries again at once"


def test_a_sign_in_that_was_ended_stays_ended_for_every_process(table: RuleTable) -> None:
    here, there = AccessBook(table, remembers_s=60), AccessBook(table, remembers_s=60)
    assert not here.has_ended(ADA)
    assert here.end(ADA)
    assert not here.end(ADA), "once"
    assert here.has_ended(ADA)
    assert there.has_ended(ADA)
    assert not there.has_ended(EVE)


def test_a_sign_out_counts_here_when_it_cannot_be_written_down(table: RuleTable, owner_url: str) -> None:
    with psycopg.connect(owner_url, autocommit=True) as connection:
        connection.execute("DROP TABLE usage_dashboard.ended_sign_in")
    book = AccessBook(table, remembers_s=60)
    assert book.end(ADA)
    assert book.has_ended(ADA)


def test_a_sign_in_is_new_once() -> None:
    book = book_of(Memory())
    assert [book.is_new(ADA), book.is_new(ADA), book.is_new(EVE)] == [True, False, True]


def test_the_table_keeps_changes_and_forgets_rules(table: RuleTable) -> None:
    made = table.add(OF_ADA, by="eve@example.com")
    (kept,) = table.read()
    assert kept == OF_ADA
    assert (kept.id, kept.created_by) == (made, "eve@example.com")
    assert kept.created_at is not None
    with pytest.raises(ArgumentError, match="has this role already"):
        table.add(Rule("email", "ada@example.com", "account_manager"), by="eve@example.com")
    changed = table.change(made, tenants=None, may_read_prompts=False, by="ada@example.com")
    assert table.read() == [changed] == [Rule("email", "ada@example.com", "account_manager")]
    assert table.remove(made) == changed
    for act in (lambda: table.remove(made), lambda: table.change(made, tenants=None, may_read_prompts=False, by="x")):
        with pytest.raises(NotFoundError, match="not there any more"):
            act()


def test_the_last_administrator_stays_unless_the_settings_name_one(table: RuleTable) -> None:
    made = [table.add(Rule("email", one, "admin"), by="x") for one in ("ada@example.com", "eve@example.com")]
    table.remove(made[0])
    with pytest.raises(ArgumentError, match="last administrator"):
        table.remove(made[1])
    assert [one.subject for one in table.read()] == ["eve@example.com"]
    table.remove(made[1], others=1)
    assert table.read() == []


@pytest.mark.parametrize(
    "values",
    [
        "('email', 'ADA@example.com', 'admin', NULL, false, 'x')",
        "('domain', 'gmail.com', 'admin', NULL, false, 'x')",
        "('email', 'ada@ex\u0430mple.com', 'engineer', NULL, false, 'x')",
        "('email', 'ada@example.com', 'engineer', '{}', false, 'x')",
    ],
)
def test_a_row_that_somebody_wrote_by_hand_gives_nothing_it_may_not(
    table: RuleTable, owner_url: str, values: str
) -> None:
    with psycopg.connect(owner_url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO usage_dashboard.access (kind, subject, role, tenants, may_read_prompts, created_by)"  # noqa: S608 - the test's own
            f" VALUES {values}"
        )
    rules = table.read()
    # The first is only in another case, which is no lie.
    assert rules == ([Rule("email", "ada@example.com", "admin")] if "ADA@" in values else [])


@pytest.mark.parametrize(
    "values",
    [
        "('phone', '1', 'admin', NULL, false, 'x')",
        "('email', 'a@example.com', 'root', NULL, false, 'x')",
        "('email', 'a@example.com', 'engineer', NULL, true, 'x')",
        "('email', 'a@example.com', 'finance', NULL, true, 'x')",
        "('email', 'a@example.com', 'admin', '{a}', false, 'x')",
    ],
)
def test_the_database_refuses_what_cannot_be(owner_url: str, values: str) -> None:
    with psycopg.connect(owner_url) as connection, pytest.raises(psycopg.errors.CheckViolation):
        connection.execute(
            "INSERT INTO usage_dashboard.access (kind, subject, role, tenants, may_read_prompts, created_by)"  # noqa: S608 - the test's own
            f" VALUES {values}"
        )


def test_the_reader_role_learns_nothing_of_who_may_what(reader_url: str) -> None:
    for name in ("access", "ended_sign_in"):
        with psycopg.connect(reader_url) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(f"SELECT FROM usage_dashboard.{name}")


def test_a_file_is_read_again_and_one_with_a_mistake_lets_nobody_in(tmp_path: Path) -> None:
    path = tmp_path / "access.toml"
    path.write_text('[[access]]\nemail = "ada@example.com"\nrole = "finance"\n', encoding="utf-8")
    source = RuleFile(path)
    assert source.read() == [Rule("email", "ada@example.com", "finance")]
    for wrong, said in (
        ("[[access]\n", r"cannot be read \(.*line 1"),
        ('[[access]]\nemail = "ada"\nrole = "finance"\n', "is not accepted: entry 1"),
        ("\xff", None),
    ):
        path.write_bytes(wrong.encode("latin-1"))
        with pytest.raises(SettingsError, match=said or "cannot be read"):
            source.read()
    path.unlink()
    with pytest.raises(SettingsError, match="No such file"):
        source.read()
