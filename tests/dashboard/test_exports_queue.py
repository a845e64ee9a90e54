"""Whose turn it is: at most a set number at once, in order, and nobody waits for somebody who has gone."""

import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard import exporting
from dashboard.export_links import RefusedError
from dashboard.exporting import Job, ReaderLeftError
from queries.errors import DatabaseUnavailableError
from tests.dashboard.exporting_runs import PATIENCE_S, Workshop, a_person, an_order


@pytest.fixture
def workshop() -> Workshop:
    return Workshop()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The exporter's own clock: one number that a test moves."""
    now = [1_000.0]
    monkeypatch.setattr(exporting.time, "monotonic", lambda: now[0])
    return now


def ordered(workshop: Workshop, times: int, browser: str = "browser-a") -> list[Job]:
    return [workshop.exporter.order(an_order(), a_person(browser)) for _ in range(times)]


def states(jobs: list[Job]) -> list[str]:
    return [one.state for one in jobs]


def test_two_at_once_and_the_others_wait_in_order(workshop: Workshop) -> None:
    jobs = ordered(workshop, 5)
    assert states(jobs) == ["ready", "ready", "waiting", "waiting", "waiting"]
    assert [workshop.exporter.ahead_of(one) for one in jobs] == [0, 0, 0, 1, 2]
    assert workshop.fetched(jobs[1]) == [b"a,b\n", b"1,2\n"]
    assert states(jobs) == ["ready", "done", "ready", "waiting", "waiting"]


@given(
    ended=st.lists(st.tuples(st.integers(0, 30), st.sampled_from(["stop", "leave", "fetch"])), max_size=40),
    at_once=st.integers(1, 4),
    number=st.integers(1, 12),
)
def test_never_more_at_once_and_in_the_end_everybody_had_a_turn(
    ended: list[tuple[int, str]], at_once: int, number: int
) -> None:
    workshop = Workshop(at_once)
    jobs = ordered(workshop, number)
    turns = []
    for which, how in [*ended, *((place, "fetch") for place in range(number))]:
        job = jobs[which % number]
        if how == "fetch" and job.state == "ready":
            workshop.fetched(job)
        elif how != "fetch":
            getattr(workshop.exporter, how)(job)
        going_on = [one for one in jobs if one.state in ("ready", "running")]
        assert len(going_on) == workshop.exporter.running == min(at_once, sum(not one.has_ended for one in jobs))
        turns.append([one.state for one in jobs].count("waiting"))
    assert all(one.has_ended for one in jobs)
    assert turns == sorted(turns, reverse=True)


def test_who_stops_waiting_makes_room(workshop: Workshop) -> None:
    jobs = ordered(workshop, 4)
    workshop.exporter.stop(jobs[2])
    assert workshop.exporter.ahead_of(jobs[3]) == 0
    workshop.exporter.stop(jobs[0])
    assert states(jobs) == ["stopped", "ready", "stopped", "ready"]
    with pytest.raises(RefusedError, match="has ended: stopped by Demo visitor"):
        workshop.exporter.fetch(jobs[0])


def test_a_turn_that_nobody_takes_goes_to_the_next(workshop: Workshop, clock: list[float]) -> None:
    jobs = ordered(workshop, 3)
    clock[0] += exporting.FETCHED_WITHIN_S + 1
    assert workshop.exporter.ahead_of(jobs[2]) == 0
    assert states(jobs) == ["dropped", "dropped", "ready"]


def test_a_fetched_job_keeps_its_turn_however_long_it_takes(workshop: Workshop, clock: list[float]) -> None:
    (job,) = ordered(workshop, 1)
    workshop.exporter.fetch(job)
    clock[0] += 10_000
    assert workshop.exporter.has_turn(job)


def test_who_closed_the_page_while_waiting_is_passed_over(workshop: Workshop, clock: list[float]) -> None:
    first, second, gone = ordered(workshop, 3)
    (waiting,) = ordered(workshop, 1, "browser-b")
    for one in (first, second):
        workshop.exporter.fetch(one)
    clock[0] += exporting.ASKED_AFTER_WITHIN_S + 1
    assert workshop.exporter.jobs_of("browser-b") == [waiting]
    workshop.exporter.stop(first)
    workshop.exporter.stop(second)
    assert states([gone, waiting]) == ["dropped", "ready"]


def test_the_second_of_one_browser_waits_behind_the_first_of_all_others(workshop: Workshop) -> None:
    greedy = ordered(workshop, 6)
    others = [ordered(workshop, 2, browser) for browser in ("browser-b", "browser-c")]
    waiting = [*greedy[2:], *others[0], *others[1]]
    in_order = sorted(waiting, key=workshop.exporter.ahead_of)
    assert [workshop.exporter.ahead_of(one) for one in in_order] == list(range(8)), "each has a place of its own"
    assert in_order[:2] == [others[0][0], others[1][0]]
    # Two of the first browser's run: its third comes after the second ones of the others.
    assert in_order[2:] == [others[0][1], others[1][1], *greedy[2:]]
    workshop.fetched(greedy[0])
    assert others[0][0].state == "ready"


@given(browsers=st.lists(st.sampled_from("abc"), min_size=1, max_size=20), at_once=st.integers(1, 3))
def test_nobody_has_two_turns_while_somebody_waits_for_a_first(browsers: list[str], at_once: int) -> None:
    workshop = Workshop(at_once)
    held = [workshop.exporter.order(an_order(), a_person("blocker")) for _ in range(at_once)]
    jobs = [workshop.exporter.order(an_order(), a_person(one)) for one in browsers]
    for one in held:
        workshop.exporter.stop(one)
    while running := [one for one in jobs if one.state == "ready"]:
        waiting = {one.person.browser for one in jobs if one.state == "waiting"}
        having = [one.person.browser for one in running]
        assert waiting <= set(having) or len(set(having)) == len(having)
        workshop.fetched(running[0])
    assert all(one.state == "done" for one in jobs)


def test_a_link_gives_its_file_once(workshop: Workshop) -> None:
    (job,) = ordered(workshop, 1)
    workshop.fetched(job)
    with pytest.raises(RefusedError, match="gives one file once") as refused:
        workshop.exporter.fetch(job)
    assert refused.value.status == 410


def test_the_link_leads_to_its_job_and_not_to_another_ones(workshop: Workshop) -> None:
    job, other = ordered(workshop, 2)
    token = workshop.exporter.address(job).rsplit("/", 1)[1]
    assert workshop.exporter.opened(token, "browser-a") is job
    forged = workshop.links.address(a_person(), job.id, other.asked | {"report": "generations"}).rsplit("/", 1)[1]
    with pytest.raises(RefusedError, match="not known any more"):
        workshop.exporter.opened(forged, "browser-a")


def test_one_browser_cannot_fill_the_queue(workshop: Workshop) -> None:
    ordered(workshop, exporting.MOST_OF_ONE)
    with pytest.raises(RefusedError, match=f"{exporting.MOST_OF_ONE} exports under way"):
        ordered(workshop, 1)
    assert states(ordered(workshop, 1, "browser-b")) == ["waiting"]


def test_what_was_done_is_registered(workshop: Workshop) -> None:
    (job,) = ordered(workshop, 1)
    workshop.fetched(job)
    (entry,) = workshop.register.page(limit=5).rows
    assert job.manifest is not None
    assert (entry.state, entry.rows, entry.sha256) == ("done", 2, job.manifest.sha256)
    assert (entry.asked_by, entry.role, entry.report) == ("Demo visitor", "admin", "ledger")


def test_what_failed_is_registered_with_its_reason(workshop: Workshop) -> None:
    def failing() -> Iterator[bytes]:
        yield b"a,b\n"
        raise DatabaseUnavailableError("the database does not answer; the page tries again by itself")

    workshop.pieces = failing
    (job,) = ordered(workshop, 1)
    with pytest.raises(DatabaseUnavailableError):
        workshop.fetched(job)
    (entry,) = workshop.register.page(limit=5).rows
    assert (job.state, entry.state) == ("failed", "failed")
    assert "does not answer" in (entry.reason or "")
    assert "reference" in job.reason
    assert workshop.exporter.running == 0


@pytest.mark.parametrize(("how", "state"), [("stop", "stopped"), ("leave", "left")])
def test_what_is_ended_in_the_middle_is_cancelled_and_registered(workshop: Workshop, how: str, state: str) -> None:
    has_written, may_go_on = threading.Event(), threading.Event()

    def slow() -> Iterator[bytes]:
        yield b"a,b\n"
        has_written.set()
        assert may_go_on.wait(PATIENCE_S)
        yield b"1,2\n"

    workshop.pieces = slow
    (job,) = ordered(workshop, 1)
    errors: list[BaseException] = []

    def fetch() -> None:
        try:
            workshop.fetched(job)
        except BaseException as error:  # noqa: BLE001 - looked at below
            errors.append(error)

    thread = threading.Thread(target=fetch)
    thread.start()
    assert has_written.wait(PATIENCE_S)
    getattr(workshop.exporter, how)(job)
    assert workshop.runs[0].cancelled.wait(PATIENCE_S)
    may_go_on.set()
    thread.join(PATIENCE_S)
    (entry,) = workshop.register.page(limit=5).rows
    assert (job.state, entry.state) == (state, "left")
    assert len(errors) == 1


def test_a_run_that_was_stopped_keeps_its_place_until_it_has_ended(workshop: Workshop) -> None:
    """Else each stop would let one more run begin beside it."""
    may_go_on, running = threading.Event(), threading.Semaphore(0)

    def held() -> Iterator[bytes]:
        running.release()
        assert may_go_on.wait(PATIENCE_S)
        yield b"a,b\n"

    workshop.pieces = held
    threads = []
    for job in ordered(workshop, 2):
        workshop.exporter.fetch(job)
        threads.append(threading.Thread(target=stream_and_fail, args=(workshop, job)))
        threads[-1].start()
        assert running.acquire(timeout=PATIENCE_S)
        workshop.exporter.stop(job)
    (third,) = ordered(workshop, 1)
    assert (third.state, workshop.exporter.running) == ("waiting", 2)
    may_go_on.set()
    for one in threads:
        one.join(PATIENCE_S)
    assert (third.state, len(workshop.runs)) == ("ready", 2)


def stream_and_fail(workshop: Workshop, job: Job) -> None:
    with pytest.raises(ConnectionAbortedError):
        workshop.exporter.stream(job, lambda _: None, lambda: None)


def test_who_stops_a_file_shuts_what_it_is_written_to(workshop: Workshop) -> None:
    """The copy may be waiting there for a reader who takes nothing."""
    is_shut = threading.Event()

    def stuck(_: bytes) -> None:
        workshop.exporter.stop(job)
        assert is_shut.wait(PATIENCE_S)
        raise ReaderLeftError

    (job,) = ordered(workshop, 1)
    with pytest.raises(ReaderLeftError):
        workshop.exporter.stream(job, stuck, lambda: None, is_shut.set)
    assert (job.state, workshop.register.page(limit=1).rows[0].state) == ("stopped", "left")


def test_signing_out_ends_what_the_browser_asked_for_and_hides_it(workshop: Workshop) -> None:
    first, second, third = ordered(workshop, 3)
    (theirs,) = ordered(workshop, 1, "browser-b")
    workshop.fetched(first)
    token = workshop.exporter.address(first).rsplit("/", 1)[1]
    workshop.exporter.sign_out("browser-a")
    assert states([first, second, third, theirs]) == ["done", "stopped", "stopped", "ready"]
    assert "signed out or changed role" in third.reason
    assert workshop.exporter.jobs_of("browser-a") == []
    for one in (first, third):
        with pytest.raises(RefusedError, match="signed out"):
            workshop.exporter.address(one)
    with pytest.raises(RefusedError, match="signed out"):
        workshop.exporter.opened(token, "browser-a")
    (after,) = ordered(workshop, 1)
    assert workshop.exporter.jobs_of("browser-a") == [after]
    assert workshop.exporter.opened(workshop.exporter.address(after).rsplit("/", 1)[1], "browser-a") is after
    with pytest.raises(RefusedError, match="signed out"):
        workshop.exporter.address(first)


def test_what_is_stopped_before_its_run_is_made_makes_no_file(workshop: Workshop) -> None:
    (job,) = ordered(workshop, 1)
    workshop.exporter.fetch(job)
    begin = workshop.register.begin

    def stopping(*arguments: object, **named: object) -> str:
        workshop.exporter.stop(job)
        return begin(*arguments, **named)  # type: ignore[arg-type]  # passed on

    workshop.register.begin = stopping  # type: ignore[method-assign]
    with pytest.raises(ReaderLeftError):
        workshop.exporter.stream(job, lambda _: None, lambda: None)
    assert not workshop.runs[0].began.is_set()


def test_nothing_begins_once_the_server_ends(workshop: Workshop) -> None:
    jobs = ordered(workshop, 3)
    workshop.exporter.close()
    assert states(jobs) == ["failed"] * 3
    assert "server was stopped" in jobs[0].reason
    assert states(ordered(workshop, 1)) == ["waiting"]


def test_old_jobs_are_forgotten(workshop: Workshop, clock: list[float]) -> None:
    (job,) = ordered(workshop, 1)
    workshop.fetched(job)
    clock[0] += 4_000
    ordered(workshop, 1)
    assert job not in workshop.exporter.jobs_of("browser-a")
