"""Files over HTTP: whole or visibly not, to the right browser only, and nothing goes on for one that has left."""

import asyncio
import contextlib
import dataclasses
import hashlib
import http.client
import itertools
import json
import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from dashboard import export_route, exporting, services
from dashboard.exporting import Job, ReaderLeftError
from dashboard.logs import adopt_streamlit_loggers, configure_logging
from queries.errors import ArgumentError, DatabaseUnavailableError, NotFoundError, StatementTimeoutError
from tests.dashboard.exporting_runs import Workshop, a_person, an_order
from tests.dashboard.serving import WORD, browser_name, get, raw, served, until

PIECE = b"x" * 1_000


@pytest.fixture
def workshop(demo: services.Services) -> Iterator[Workshop]:
    """The demo's services with an exporter whose runs the test holds."""
    made = Workshop()
    services.install(dataclasses.replace(demo, exporter=made.exporter, export_register=made.register))
    yield made
    made.exporter.close()


@pytest.fixture
def port(workshop: Workshop) -> Iterator[int]:
    with served() as found:
        yield found


def ordered(workshop: Workshop, **how: object) -> tuple[Job, str]:
    job = workshop.exporter.order(an_order(**how), a_person(browser_name()))
    return job, workshop.exporter.address(job)


def test_a_file_arrives_whole_and_says_what_it_is(workshop: Workshop, port: int) -> None:
    pieces = [f"{number},{'y' * (number % 700)}\n".encode() for number in range(5_000)]
    workshop.pieces = lambda: iter(pieces)
    job, address = ordered(workshop)
    answer = get(port, address)
    assert answer.status == 200
    assert answer.read() == b"".join(pieces)
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="ledger-2026-05-utc.csv"')
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store, private"
    assert answer.headers["Content-Encoding"] == "identity", "the loop that all pages share must not compress it"
    until(lambda: job.state == "done", "the job ends")


@pytest.mark.parametrize(
    ("kind", "media_type"),
    [("csv.gz", "application/gzip"), ("parquet", "application/vnd.apache.parquet"), ("xlsx", "application/vnd.open")],
)
def test_each_kind_of_file_has_its_name(workshop: Workshop, port: int, kind: str, media_type: str) -> None:
    answer = get(port, ordered(workshop, format=kind)[1])
    answer.read()
    assert answer.headers["Content-Type"].startswith(media_type)
    assert f'.{kind}"' in answer.headers["Content-Disposition"]


def test_the_header_comes_before_the_rows_are_there(workshop: Workshop, port: int) -> None:
    may_go_on = threading.Event()

    def slow() -> Iterator[bytes]:
        yield b"a,b\n"
        assert may_go_on.wait(20)
        yield b"1,2\n"

    workshop.pieces = slow
    answer = get(port, ordered(workshop)[1])
    assert answer.read(4) == b"a,b\n"
    may_go_on.set()
    assert answer.read() == b"1,2\n"


def test_the_manifest_is_there_when_the_file_has_ended(workshop: Workshop, port: int) -> None:
    _, address = ordered(workshop)
    early = get(port, f"{address}/manifest")
    assert (early.status, b"has not ended" in early.read()) == (409, True)
    body = get(port, address).read()
    answer = get(port, f"{address}/manifest")
    told = json.loads(answer.read())
    assert (answer.status, told["sha256"]) == (200, hashlib.sha256(body).hexdigest())
    assert "ledger-2026-05-utc.csv.manifest.json" in answer.headers["Content-Disposition"]
    assert get(port, f"{address}/manifest", word="v" * 43).status == 403


@pytest.mark.parametrize("word", ["v" * 43, None, "nonsense"])
def test_another_browser_gets_a_sentence_and_not_the_file(workshop: Workshop, port: int, word: str | None) -> None:
    job, address = ordered(workshop)
    answer = get(port, address, word=word)
    text = answer.read().decode()
    assert (answer.status, answer.headers["Content-Type"]) == (403, "text/plain; charset=utf-8")
    assert "another browser" in text
    assert workshop.runs == []
    assert job.state == "ready", "the right one can still fetch it"


def test_a_forged_link_and_one_from_before_signing_out_get_a_sentence(workshop: Workshop, port: int) -> None:
    _, address = ordered(workshop)
    forged = get(port, address[:-5] + "aaaaa")
    assert (forged.status, b"not one of this server's" in forged.read()) == (403, True)
    workshop.links.revoke(browser_name())
    left = get(port, address)
    assert (left.status, b"signed out" in left.read()) == (403, True)
    assert workshop.runs == []


def test_the_second_time_there_is_a_sentence(workshop: Workshop, port: int) -> None:
    _, address = ordered(workshop)
    get(port, address).read()
    again = get(port, address)
    assert (again.status, b"one file once" in again.read()) == (410, True)
    assert len(workshop.runs) == 1


def test_asking_for_the_headers_runs_nothing_and_uses_nothing_up(workshop: Workshop, port: int) -> None:
    _, address = ordered(workshop)
    answer = get(port, address, method="HEAD")
    assert (answer.status, answer.read()) == (200, b"")
    assert workshop.runs == []
    assert get(port, address).read() == b"a,b\n1,2\n"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ArgumentError("1,048,576 rows do not fit on a sheet; choose CSV"), 422),
        (NotFoundError("no such tenant, or it is not one of yours; choose one from the list"), 404),
        (StatementTimeoutError("the statement was stopped after 600 s; choose a shorter period"), 504),
        (DatabaseUnavailableError("the database does not answer; the page tries again by itself"), 503),
        (ZeroDivisionError("a defect"), 500),
    ],
)
def test_an_error_before_the_first_byte_is_a_sentence(
    workshop: Workshop, port: int, error: Exception, status: int
) -> None:
    def failing() -> Iterator[bytes]:
        raise error
        yield b""

    workshop.pieces = failing
    job, address = ordered(workshop)
    answer = get(port, address)
    text = answer.read().decode()
    assert (answer.status, text.startswith("There is no file: ")) == (status, True)
    assert "Reference" in text
    assert "Content-Disposition" not in answer.headers
    assert job.state == "failed"


@pytest.mark.parametrize("pieces", [1, 3_000], ids=["at once", "after megabytes"])
def test_an_error_in_mid_stream_cuts_the_connection_and_writes_nothing(
    workshop: Workshop, port: int, pieces: int
) -> None:
    def failing() -> Iterator[bytes]:
        yield from itertools.repeat(PIECE, pieces)
        raise DatabaseUnavailableError("the database does not answer; the page tries again by itself")

    workshop.pieces = failing
    job, address = ordered(workshop)
    answer = get(port, address)
    assert answer.status == 200
    with pytest.raises(http.client.IncompleteRead) as cut:
        answer.read()
    assert set(cut.value.partial) <= {ord("x")}, "the error was written into the file"
    assert (job.state, "does not answer" in job.reason) == ("failed", True)


def test_when_the_reader_leaves_the_copy_is_cancelled(workshop: Workshop, port: int) -> None:
    workshop.pieces = lambda: itertools.repeat(PIECE)
    job, address = ordered(workshop)
    connection = raw(port, address)
    assert connection.recv(100)
    connection.close()
    until(lambda: workshop.runs[0].ended.is_set(), "the copy ends")
    until(lambda: workshop.register.page(limit=1).rows[0].state == "left", "the register says so")
    assert job.state == "left"
    assert workshop.runs[0].cancelled.wait(20), "PostgreSQL is told"


def test_a_reader_who_leaves_before_the_first_byte_is_noticed(workshop: Workshop, port: int) -> None:
    may_go_on = threading.Event()

    def waiting() -> Iterator[bytes]:
        assert may_go_on.wait(20)
        yield b"a,b\n"

    workshop.pieces = waiting
    job, address = ordered(workshop)
    connection = raw(port, address)
    until(lambda: bool(workshop.runs) and workshop.runs[0].began.is_set(), "the copy begins")
    connection.close()
    until(lambda: workshop.runs[0].cancelled.is_set(), "PostgreSQL is told")
    assert job.state == "left"
    may_go_on.set()


def test_a_slow_reader_holds_the_copy_and_not_the_memory(workshop: Workshop, port: int) -> None:
    workshop.pieces = lambda: itertools.repeat(PIECE, 60_000)
    job, address = ordered(workshop)
    connection = raw(port, address)
    connection.recv(10)
    before = -1
    while before != job.bytes:  # until nothing moves any more
        before = job.bytes
        threading.Event().wait(0.3)
    assert 0 < before < 20_000_000, "it was read ahead of the reader"
    connection.close()


def test_the_third_waits_for_its_turn_and_gets_its_own_file(workshop: Workshop, port: int) -> None:
    may_go_on, numbers = threading.Event(), itertools.count()

    def numbered() -> Iterator[bytes]:
        number = next(numbers)
        yield f"file {number}\n".encode()
        assert may_go_on.wait(20)
        yield f"end of {number}\n".encode()

    workshop.pieces = numbered
    jobs = [ordered(workshop) for _ in range(20)]
    bodies: dict[int, bytes] = {}

    def fetch(place: int) -> None:
        bodies[place] = get(port, jobs[place][1]).read()

    threads = [threading.Thread(target=fetch, args=(place,)) for place in range(20)]
    for one in threads:
        one.start()
    until(lambda: all(job.is_fetched for job, _ in jobs), "all have come")
    assert len(workshop.runs) <= 2
    may_go_on.set()
    for one in threads:
        one.join(20)
    assert sorted(bodies.values()) == sorted(f"file {one}\nend of {one}\n".encode() for one in range(20))
    assert len(set(bodies.values())) == 20, "two exports share bytes"


def test_who_leaves_while_waiting_gives_the_place_to_the_next(workshop: Workshop, port: int) -> None:
    workshop.pieces = lambda: itertools.repeat(PIECE)
    held = [raw(port, ordered(workshop)[1]) for _ in range(2)]
    until(lambda: len(workshop.runs) == 2, "both run")
    waiting, address = ordered(workshop)
    leaving = raw(port, address)
    until(lambda: waiting.is_fetched, "the third has come")
    leaving.close()
    until(lambda: waiting.state == "left", "it has gone")
    assert len(workshop.runs) == 2
    for one in held:
        one.close()


def test_without_chunks_a_cut_file_would_look_whole_so_there_is_none(workshop: Workshop, port: int) -> None:
    connection = raw(port, ordered(workshop)[1], version="1.0")
    with connection, connection.makefile("rb") as answer:
        text = answer.read()
    assert b" 505 " in text.splitlines()[0]
    assert b"Files need HTTP/1.1" in text
    assert workshop.runs == []


@pytest.fixture
def logging_is_put_back() -> Iterator[None]:
    known = [one for one in logging.Logger.manager.loggerDict.values() if isinstance(one, logging.Logger)]
    before = [(one, one.level, one.propagate, list(one.handlers)) for one in (logging.getLogger(), *known)]
    yield
    for one, level, propagate, handlers in before:
        one.setLevel(level)
        one.propagate = propagate
        one.handlers[:] = handlers


@pytest.mark.usefixtures("logging_is_put_back")
@pytest.mark.parametrize("style", ["text", "json"])
def test_a_link_does_not_stand_in_the_log_of_requests(
    workshop: Workshop, style: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """The server's own log, as it is in production; and it can fail: with the requests in it, the link is there."""
    configure_logging(style, "DEBUG")
    adopt_streamlit_loggers()
    with served() as port:
        address = ordered(workshop)[1]
        get(port, address).read()
        assert address not in capsys.readouterr().err
        logging.getLogger("uvicorn.access").setLevel(logging.INFO)
        address = ordered(workshop)[1]
        get(port, address).read()
        assert address in capsys.readouterr().err, "nothing was logged that could have held it"


def test_a_link_does_not_stand_in_the_log_of_a_failure(
    workshop: Workshop, port: int, caplog: pytest.LogCaptureFixture
) -> None:
    # As in production, whatever another test has set; see the test above.
    caplog.set_level(logging.WARNING, "uvicorn.access")

    def failing() -> Iterator[bytes]:
        yield b"a,b\n"
        raise DatabaseUnavailableError("the database does not answer; the page tries again by itself")

    workshop.pieces = failing
    job, address = ordered(workshop)
    answer = get(port, address)
    with pytest.raises(http.client.IncompleteRead):
        answer.read()
    assert f"export {job.id} failed" in caplog.text
    assert address.rsplit("/", 1)[1] not in caplog.text
    assert WORD not in caplog.text


def test_the_pipe_tells_the_copy_that_nobody_reads() -> None:
    """Also when the reader left between two pieces, and when the loop itself is gone."""
    loop = asyncio.new_event_loop()
    pipe = export_route.Pipe(loop, lasts_s=60)
    pipe.write(b"a")
    pipe.close()
    with pytest.raises(ReaderLeftError):
        pipe.write(b"b")
    orphan = export_route.Pipe(loop, lasts_s=60)
    loop.close()
    with pytest.raises(exporting.ReaderLeftError):
        orphan.write(b"a")


@pytest.mark.parametrize("waits", ["write", "drain"])
@pytest.mark.parametrize(("taken_within_s", "lasts_s"), [(0.05, 60.0), (60.0, 0.05)], ids=["stuck", "too long"])
def test_the_pipe_waits_for_nobody_for_ever(
    monkeypatch: pytest.MonkeyPatch, waits: str, taken_within_s: float, lasts_s: float
) -> None:
    monkeypatch.setattr(export_route, "TAKEN_WITHIN_S", taken_within_s)
    loop = asyncio.new_event_loop()
    pipe = export_route.Pipe(loop, lasts_s=lasts_s)
    error = ReaderLeftError if taken_within_s < lasts_s else StatementTimeoutError

    def fill() -> None:
        for _ in range(10 if waits == "write" else 1):
            pipe.write(b"x" * export_route.PIECE_BYTES)
        pipe.drain()

    with pytest.raises(error) as found:
        fill()
    assert ("took nothing for 0.05 s" if error is ReaderLeftError else "EXPORT_TIMEOUT_S") in str(found.value)
    loop.close()


def test_the_pipe_ends_a_wait_when_it_is_closed() -> None:
    loop = asyncio.new_event_loop()
    pipe = export_route.Pipe(loop, lasts_s=60)
    ended: list[BaseException] = []

    def fill() -> None:
        try:
            for _ in range(10):
                pipe.write(b"x" * export_route.PIECE_BYTES)
        except ReaderLeftError as error:
            ended.append(error)

    thread = threading.Thread(target=fill)
    thread.start()
    pipe.close()
    thread.join(20)
    assert (len(ended), thread.is_alive()) == (1, False)
    # A thread of its own: another test of this process may have left a loop running in this one.
    with ThreadPoolExecutor(1) as apart, pytest.raises(ReaderLeftError):
        apart.submit(loop.run_until_complete, pipe.next()).result(20)
    loop.close()


def test_a_reader_who_takes_nothing_is_cut_off(workshop: Workshop, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_route, "TAKEN_WITHIN_S", 0.3)
    workshop.pieces = lambda: itertools.repeat(PIECE)
    job, address = ordered(workshop)
    connection = raw(port, address)
    assert connection.recv(100)
    until(lambda: job.has_ended, "the job ends")
    assert (job.state, job.reason) == ("left", "the reader took nothing for 0.3 s")
    until(lambda: workshop.exporter.running == 0, "its place is free")
    taken = 0
    with contextlib.suppress(ConnectionError):
        while piece := connection.recv(1_000_000):
            taken += len(piece)
    assert taken < 20_000_000, "the connection was cut"


def test_a_file_that_takes_too_long_in_all_is_cut_off(workshop: Workshop, port: int, demo: services.Services) -> None:
    """Also for a reader who takes a little now and then."""
    settings = demo.settings.model_copy(update={"export_timeout_s": 0.5})
    held = dataclasses.replace(demo, settings=settings, exporter=workshop.exporter, export_register=workshop.register)
    services.install(held)
    workshop.pieces = lambda: itertools.repeat(PIECE)
    job, address = ordered(workshop)
    answer = get(port, address)
    with pytest.raises(http.client.IncompleteRead):
        answer.read()
    until(lambda: job.has_ended, "the job ends")
    assert (job.state, "not fetched within 0.5 s" in job.reason) == ("failed", True)


def test_stop_ends_a_file_that_nobody_takes(workshop: Workshop, port: int) -> None:
    workshop.pieces = lambda: itertools.repeat(PIECE)
    jobs = [ordered(workshop) for _ in range(3)]
    connections = [raw(port, address) for _, address in jobs]
    for one in connections[:2]:
        assert one.recv(100)
    for job, _ in jobs[:2]:
        workshop.exporter.stop(job)
    until(lambda: all(one.ended.is_set() for one in workshop.runs[:2]), "the copies end")
    assert connections[2].recv(100), "the third begins"
    assert [job.state for job, _ in jobs] == ["stopped", "stopped", "running"]
    workshop.exporter.close()
    until(lambda: workshop.exporter.running == 0, "so does the third, when the server closes")


def test_a_file_that_is_stopped_before_its_first_byte_is_answered(workshop: Workshop, port: int) -> None:
    may_go_on = threading.Event()

    def waiting() -> Iterator[bytes]:
        assert may_go_on.wait(20)
        yield b"a,b\n"

    workshop.pieces = waiting
    job, address = ordered(workshop)
    answers: list[http.client.HTTPResponse] = []
    asking = threading.Thread(target=lambda: answers.append(get(port, address)))
    asking.start()
    until(lambda: bool(workshop.runs) and workshop.runs[0].began.is_set(), "the copy begins")
    workshop.exporter.stop(job)
    asking.join(20)
    assert (answers[0].status, b"stopped by Demo visitor" in answers[0].read()) == (410, True)
    may_go_on.set()
