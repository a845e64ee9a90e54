"""The audit: whatever was done is there, as it was, in its order; and nobody of ours can change or empty it."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from queries import batches
from queries.audit import LONGEST_VALUE, Audit, Wanted
from queries.database import driver_url
from queries.errors import DatabaseUnavailableError

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _written_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "BATCH_S", 0.02)


@pytest.fixture
def engine(owner_url: str) -> Iterator[sa.Engine]:
    made = sa.create_engine(driver_url(owner_url), connect_args={"prepare_threshold": None})
    yield made
    made.dispose()


@pytest.fixture
def audit(engine: sa.Engine) -> Iterator[Audit]:
    made = Audit(engine)
    made.start()
    yield made
    made.stop(10)


def done(audit: Audit, *records: tuple[str, str, str, dict[str, str]]) -> None:
    """Record these and wait until they are written."""
    before = audit.written
    for one in records:
        audit.record(*one)
    for _ in range(500):
        if audit.written - before >= len(records):
            return
        threading.Event().wait(0.01)
    raise AssertionError(f"{audit.written - before} of {len(records)} records were written")


def test_what_was_recorded_is_read_back_newest_first(audit: Audit) -> None:
    began = datetime.now(UTC)
    done(
        audit,
        ("ada@example.com", "admin", "access given", {"who": "bob@example.com", "role": "finance"}),
        ("bob@example.com", "finance", "export", {"report": "ledger", "tenants": "all"}),
    )
    page = audit.page(Wanted(), limit=10)
    assert page.total_rows == 2
    assert [(one.who, one.role, one.action) for one in page.rows] == [
        ("bob@example.com", "finance", "export"),
        ("ada@example.com", "admin", "access given"),
    ]
    assert page.rows[0].subject == {"report": "ledger", "tenants": "all"}
    assert began <= page.rows[1].at <= page.rows[0].at <= datetime.now(UTC)


NARROWED = (
    (Wanted(who="ADA"), ["opened", "export"]),
    (Wanted(action="export"), ["export"]),
    (Wanted(subject="org_1"), ["opened"]),
    (Wanted(subject="%"), []),
    (Wanted(who="_"), []),
    (Wanted(who="' OR true --"), []),
    (Wanted(end=LONG_AGO), []),
    (Wanted(start=LONG_AGO), ["opened", "export", "opened"]),
    (Wanted(who="bob", action="export"), []),
)


def test_it_can_be_narrowed(audit: Audit) -> None:
    done(
        audit,
        ("Bob", "admin", "opened", {"tenant": "org_2"}),
        ("Ada", "admin", "export", {"tenants": "org_20"}),
        ("Ada", "admin", "opened", {"tenant": "org_1"}),
    )
    for wanted, found in NARROWED:
        page = audit.page(wanted, limit=10)
        assert [one.action for one in page.rows] == found, wanted
        assert page.total_rows == len(found), wanted


def test_pages_hold_every_record_once(audit: Audit) -> None:
    done(audit, *(("Ada", "admin", "opened", {"tenant": str(number)}) for number in range(57)))
    seen = [one.subject["tenant"] for at in range(0, 75, 25) for one in audit.page(Wanted(), limit=25, offset=at).rows]
    assert seen == [str(number) for number in reversed(range(57))]


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=40), st.dictionaries(st.text(max_size=20), st.text(max_size=60), max_size=4))
def test_no_text_keeps_a_record_from_being_kept(audit: Audit, who: str, subject: dict[str, str]) -> None:
    done(audit, (who, "admin", "opened", subject))
    kept = audit.page(Wanted(), limit=1).rows[0]
    is_plain = "\x00" not in who and who.encode("utf-8", "ignore").decode() == who
    assert (kept.who == who) == is_plain
    assert len(kept.subject) <= len(subject)
    assert audit.dropped == 0


def test_a_long_text_is_cut_and_says_so(audit: Audit) -> None:
    done(audit, ("Ada", "admin", "export", {"tenants": "x" * (LONGEST_VALUE + 5)}))
    assert audit.page(Wanted(), limit=1).rows[0].subject["tenants"].endswith(f"… ({LONGEST_VALUE + 5:,} characters)")


CHANGES = (
    "UPDATE usage_dashboard.audit SET who = 'nobody'",
    "UPDATE usage_dashboard.audit SET who = 'nobody' WHERE false",
    "DELETE FROM usage_dashboard.audit",
    "TRUNCATE usage_dashboard.audit",
    "INSERT INTO usage_dashboard.audit OVERRIDING SYSTEM VALUE VALUES (1, now(), 'a', 'a', 'a', '{}')"
    " ON CONFLICT (id) DO UPDATE SET who = 'nobody'",
    "MERGE INTO usage_dashboard.audit a USING (SELECT 1) o ON true WHEN MATCHED THEN DELETE",
)


def test_no_role_of_the_program_can_change_or_empty_it(
    audit: Audit, owner_url: str, reader_url: str, superuser_url: str
) -> None:
    done(audit, ("Ada", "admin", "export", {"report": "ledger"}))
    for change in CHANGES:
        for url in (owner_url, reader_url):
            with psycopg.connect(url) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(change.encode())
        # Whom no right is refused is refused by the trigger, also while it plays back what was done elsewhere.
        for mode in ("origin", "replica"):
            with psycopg.connect(superuser_url) as connection:
                connection.execute(f"SET session_replication_role = {mode}")
                with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
                    connection.execute(change.encode())
    assert audit.page(Wanted(), limit=5).total_rows == 1


def test_the_reader_can_read_and_not_add(audit: Audit, reader_url: str) -> None:
    done(audit, ("Ada", "admin", "export", {}))
    with psycopg.connect(reader_url) as connection:
        assert connection.execute("SELECT who FROM usage_dashboard.audit").fetchall() == [("Ada",)]
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(
                "INSERT INTO usage_dashboard.audit (at, who, role, action, subject) VALUES (now(),'','','','{}')"
            )


def test_a_full_queue_keeps_nobody_waiting_and_every_lost_record_is_in_the_log(
    engine: sa.Engine, caplog: pytest.LogCaptureFixture
) -> None:
    audit, filled = Audit(engine, queue_records=3), threading.Event()

    def fill() -> None:
        for number in range(5):
            audit.record("Ada\n", "admin", "opened", {"tenant": f"org_{number}"})
        filled.set()

    threading.Thread(target=fill, daemon=True).start()
    assert filled.wait(5), "recording into a full queue waits"
    assert audit.dropped == 2
    lost = [
        json.loads(one.getMessage().partition("kept: ")[2]) for one in caplog.records if "audit" in one.getMessage()
    ]
    assert [one["subject"]["tenant"] for one in lost] == ["org_3", "org_4"]
    assert lost[0]["who"] == "Ada\n"


def test_while_the_table_is_away_records_wait(
    engine: sa.Engine, superuser_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(batches, "_RETRY_S", 0.05)
    with psycopg.connect(superuser_url) as connection:
        connection.execute("ALTER TABLE usage_dashboard.audit RENAME TO away")
    audit = Audit(engine)
    audit.start()
    audit.record("Ada", "admin", "opened", {"tenant": "org_1"})
    for _ in range(200):
        if "the audit cannot be written" in caplog.text:
            break
        threading.Event().wait(0.02)
    with psycopg.connect(superuser_url) as connection:
        connection.execute("ALTER TABLE usage_dashboard.away RENAME TO audit")
    for _ in range(200):
        if audit.written:
            break
        threading.Event().wait(0.02)
    audit.stop(10)
    assert (audit.written, audit.dropped) == (1, 0)
    assert caplog.text.count("cannot be written") == 1


def test_what_cannot_be_written_by_the_end_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    nowhere = sa.create_engine(driver_url("postgresql://nobody@127.0.0.1:1/none"))
    audit = Audit(nowhere)
    audit.start()
    audit.record("Ada", "admin", "month closed", {"month": "2026-05"})
    for _ in range(200):
        if "the audit cannot be written" in caplog.text:
            break
        threading.Event().wait(0.02)
    audit.stop(10)
    assert audit.dropped == 1
    assert '"month": "2026-05"' in caplog.text
    with pytest.raises(DatabaseUnavailableError):
        audit.page(Wanted(), limit=1)
    nowhere.dispose()


def test_times_are_half_open(audit: Audit) -> None:
    done(audit, ("Ada", "admin", "opened", {}))
    at: Any = audit.page(Wanted(), limit=1).rows[0].at
    assert audit.page(Wanted(start=at, end=at + timedelta(microseconds=1)), limit=1).total_rows == 1
    assert audit.page(Wanted(end=at), limit=1).total_rows == 0
