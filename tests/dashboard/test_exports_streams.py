"""Files of a real database over HTTP: what is left running when the reader leaves, when the database is lost, and when
many ask at once."""

import hashlib
import http.client
import os
import threading
from collections.abc import Iterator
from datetime import date
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr

from dashboard import export_route, services
from dashboard.exporting import Job
from queries.settings import Settings
from tests.dashboard.conftest import DEMO_NOW
from tests.dashboard.exporting_runs import a_person, an_order
from tests.dashboard.serving import browser_name, get, raw, served, until

# The last of twenty waits for all others, on a busy machine.
QUEUE_S = 200
ROWS, PROMPT_LENGTH = 25_000, 900
COPIES = """SELECT pid FROM pg_stat_activity WHERE datname = current_database()
            AND backend_type = 'client backend' AND query LIKE 'COPY%' AND state = 'active'"""
# What several files need at once on top of one: queues, chunks and connections; far less than the files themselves.
GROWTH_BYTES = 60_000_000


@pytest.fixture
def held(reader_url: str, owner_url: str, app_url: str) -> Iterator[services.Services]:
    """Services on a database of the test's own, whose generations are 25 MB as a file."""
    with psycopg.connect(app_url, autocommit=True) as connection:
        connection.execute(
            'INSERT INTO "Generation" ("id", "userId", "organizationId", "type", "model", "status", "creditsUsed",'
            ' "prompt", "createdAt", "updatedAt")'
            ' SELECT \'more_\' || i, g."userId", g."organizationId", g."type", g."model", g."status", 1,'
            " repeat('p', %s), timestamp '2026-05-01' + i * interval '1 minute', now() FROM generate_series(1, %s) i"
            ' CROSS JOIN (SELECT * FROM "Generation" ORDER BY "id" LIMIT 1) g',
            [PROMPT_LENGTH, ROWS],
        )
    settings = Settings(database_url=SecretStr(reader_url), direct_url=SecretStr(owner_url))
    made, before = services.build(settings, is_demo=True), services.installed()
    services.install(made)
    try:
        yield made
    finally:
        services.install(before)
        made.close()


@pytest.fixture
def port(held: services.Services) -> Iterator[int]:
    with served() as found:
        yield found


@pytest.fixture
def superuser(superuser_url: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(superuser_url, autocommit=True) as connection:
        yield connection


def ordered(held: services.Services, **how: object) -> tuple[Job, str]:
    days = {"first": date(2026, 5, 1), "last": date(2026, 6, 14), "with_prompts": True}
    job = held.exporter.order(an_order("generations", **{**days, **how}), a_person(browser_name()))
    return job, held.exporter.address(job)


def copies(superuser: psycopg.Connection[Any]) -> int:
    return len(superuser.execute(COPIES).fetchall())


def waiting_for_their_client(superuser: psycopg.Connection[Any]) -> int:
    return len(superuser.execute(f"{COPIES} AND wait_event = 'ClientWrite'").fetchall())


def resident_bytes() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_a_reader_who_leaves_leaves_no_copy_running(
    held: services.Services, port: int, superuser: psycopg.Connection[Any]
) -> None:
    job, address = ordered(held)
    connection = raw(port, address)
    assert connection.recv(1_000)
    until(lambda: copies(superuser) == 1, "the COPY runs")
    connection.close()
    until(lambda: copies(superuser) == 0, "the COPY ends")
    until(lambda: held.export_register.page(limit=1).rows[0].state == "left", "the register says so")
    assert job.state == "left"


def test_who_presses_stop_gets_a_file_that_is_seen_to_be_cut(
    held: services.Services, port: int, superuser: psycopg.Connection[Any]
) -> None:
    job, address = ordered(held)
    answer = get(port, address)
    answer.read(1_000)
    held.exporter.stop(job)
    with pytest.raises(http.client.IncompleteRead):
        answer.read()
    until(lambda: copies(superuser) == 0, "the COPY ends")


@pytest.mark.parametrize("how", ["stop", "sign_out", "close"])
def test_a_reader_who_takes_nothing_holds_no_copy_beyond_stop(
    held: services.Services, port: int, superuser: psycopg.Connection[Any], how: str
) -> None:
    """The backend waits for its client to read, where it acts on no cancel."""
    jobs = [ordered(held) for _ in range(2)]
    for _, address in jobs:
        assert raw(port, address).recv(100)
    until(lambda: waiting_for_their_client(superuser) == 2, "both backends wait for their client")
    (third, address) = ordered(held)
    assert third.state == "waiting"
    if how == "stop":
        for job, _ in jobs:
            held.exporter.stop(job)
    elif how == "sign_out":
        held.exporter.sign_out(browser_name())
    else:
        held.exporter.close()
    until(lambda: copies(superuser) == 0, "no COPY is left")
    until(lambda: held.exporter.running == (1 if how == "stop" else 0), "their places are free")
    ended = "failed" if how == "close" else "left"
    assert {one.state for one in held.export_register.page(limit=2).rows} == {ended}
    if how == "stop":
        assert len(get(port, address).read()) > ROWS * PROMPT_LENGTH
        until(lambda: third.state == "done", "the next runs")


def test_a_reader_who_takes_nothing_is_given_up_in_time(
    held: services.Services, port: int, superuser: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_route, "TAKEN_WITHIN_S", 1.0)
    job, address = ordered(held)
    assert raw(port, address).recv(100)
    until(lambda: job.has_ended, "the job ends")
    assert (job.state, job.reason) == ("left", "the reader took nothing for 1 s")
    until(lambda: copies(superuser) == 0, "no COPY is left")


def test_a_database_lost_in_mid_stream_cuts_the_file(
    held: services.Services, port: int, superuser: psycopg.Connection[Any]
) -> None:
    job, address = ordered(held)
    answer = get(port, address)
    answer.read(1_000)
    until(lambda: copies(superuser) == 1, "the COPY runs")
    superuser.execute("SELECT pg_terminate_backend(%s)", superuser.execute(COPIES).fetchone())
    with pytest.raises(http.client.IncompleteRead) as cut:
        answer.read()
    assert b"does not answer" not in cut.value.partial
    until(lambda: job.has_ended, "the job ends")
    assert (job.state, "does not answer" in job.reason) == ("failed", True)


def test_twenty_at_once_are_twenty_files_in_flat_memory_and_the_server_answers(
    held: services.Services, port: int, superuser: psycopg.Connection[Any]
) -> None:
    """Each of another period, so that none may be another one's."""
    get(port, ordered(held)[1]).read()  # what is needed once is there before it is measured
    jobs = [ordered(held, first=date(2026, 5, 1 + number)) for number in range(20)]
    sizes: dict[int, int] = {}
    heads: dict[int, bytes] = {}
    before = resident_bytes()
    highest = [before]

    def fetch(place: int) -> None:
        answer = get(port, jobs[place][1], patience_s=QUEUE_S)
        size = 0
        while piece := answer.read(65_536):
            heads.setdefault(place, piece)
            size += len(piece)
            highest[0] = max(highest[0], resident_bytes())
        sizes[place] = size

    threads = [threading.Thread(target=fetch, args=(place,)) for place in range(20)]
    for one in threads:
        one.start()
    answered, most_copies, most_runs = 0, 0, 0
    while any(one.is_alive() for one in threads):
        assert get(port, "/exports/nothing").status == 403
        most_copies = max(most_copies, copies(superuser))
        most_runs = max(most_runs, sum(one.name.startswith("export ") for one in threading.enumerate()))
        answered += 1
        threading.Event().wait(0.05)
    assert answered > 5
    at_once = held.settings.exports_at_once
    assert most_copies == at_once, "as many as may run are seen to, and no more"
    # A thread gives its turn away a moment before it is gone.
    assert at_once <= most_runs <= 2 * at_once
    manifests = [job.manifest for job, _ in jobs]
    assert all(one is not None and one.bytes == sizes[place] for place, one in enumerate(manifests))
    assert len({one.sha256 for one in manifests if one is not None}) == 20
    assert len({one.id for one in manifests if one is not None}) == 20
    assert sum(sizes.values()) > 4 * GROWTH_BYTES, "too little to tell"
    assert highest[0] - before < GROWTH_BYTES, f"{(highest[0] - before) / 1e6:.0f} MB"


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
@pytest.mark.parametrize("report", ["credit-statement", "usage-lines", "ledger"])
def test_a_closed_month_is_the_same_file_after_late_rows(
    held: services.Services, port: int, app_url: str, report: str, kind: str
) -> None:
    assert held.closer is not None
    held.closer.close(date(2026, 5, 1), zone="UTC", by="Fatima", now=DEMO_NOW)
    month = {"first": date(2026, 5, 1), "last": date(2026, 5, 31), "format": kind}

    def fetched() -> tuple[bytes, Job]:
        job = held.exporter.order(an_order(report, **month), a_person(browser_name()))
        return get(port, held.exporter.address(job)).read(), job

    body, first = fetched()
    with psycopg.connect(app_url, autocommit=True) as connection:
        connection.execute(
            'INSERT INTO "CreditTransaction" ("id", "organizationId", "type", "amount", "createdAt")'
            " SELECT 'late', min(\"id\"), 'GRANT', 7, '2026-05-20' FROM \"Organization\""
        )
        connection.execute('UPDATE "Generation" SET "model" = \'another\' WHERE "id" LIKE \'more_1%\'')
    again, second = fetched()
    assert first.manifest is not None
    assert second.manifest is not None
    assert first.manifest.status == second.manifest.status == "closed"
    assert first.manifest.rows > 0
    assert hashlib.sha256(again).hexdigest() == second.manifest.sha256 == first.manifest.sha256
    assert again == body
    assert [one.status for one in held.export_register.page(limit=2).rows] == ["closed", "closed"]
