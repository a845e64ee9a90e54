"""The two levels on a real Redis: bounded, shared, never trusted, never needed."""

import ast
import contextlib
import dataclasses
import logging
import pickle
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from queries import arrow, cache, entry, redis_level
from queries.arrow import UnreadableFrameError, encoded, frame_of
from queries.cache import Entry, ResultCache
from queries.entry import entry_bytes, entry_of_bytes
from queries.errors import SettingsError
from queries.query import Timings
from queries.redis_level import RedisLevel

ROOT = Path(__file__).resolve().parents[2]
READ_AT = datetime(2026, 6, 15, 10, 30, tzinfo=UTC)


def make_entry(value: int = 1, *, rows: int = 3, computed_at: datetime = READ_AT, nbytes: int | None = None) -> Entry:
    frame = frame_of([(value, f"row {row} 🖼️") for row in range(rows)], ["value", "words"], [20, 25])
    parameters = {"tenants": ["a", "b"], "limit": 5, "search": None}
    timings = Timings(database_ms=4.1, fetch_ms=0.25)
    made = Entry.of(frame, computed_at=computed_at, sql="SELECT 1", parameters=parameters, timings=timings)
    return made if nbytes is None else dataclasses.replace(made, nbytes=nbytes)


def value_of(found: Entry | None) -> int:
    assert found is not None
    return int(found.frame["value"].iloc[0])


def never() -> Entry:
    pytest.fail("the creator ran")


def same_entry(one: Entry, other: Entry) -> bool:
    plain = ("computed_at", "sql", "parameters", "timings")
    return one.frame.equals(other.frame) and all(getattr(one, name) == getattr(other, name) for name in plain)


MakeCache = Callable[..., ResultCache]


@pytest.fixture
def make_cache() -> Iterator[MakeCache]:
    """Caches that share a prefix of the test's own, closed at the end."""
    made: list[ResultCache] = []
    prefix = f"test:{secrets.token_hex(6)}"

    def make(redis_url: str | None = None, **options: Any) -> ResultCache:
        chosen = {"max_bytes": 10**7, "prefix": prefix, "lock_s": 30.0, "redis_rest_s": 0.05, **options}
        made.append(ResultCache(redis_url=redis_url, **chosen))
        return made[-1]

    yield make
    for one in made:
        one.close()


class OwnRedis:
    """A redis-server that the test may kill and start again in the same place."""

    def __init__(self, folder: str) -> None:
        self.socket = f"{folder}/r"
        self.url = f"unix://{self.socket}?password=not-for-logs"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        program = ["redis-server", "--port", "0", "--unixsocket", self.socket, "--save", "", "--appendonly", "no"]
        program += ["--requirepass", "not-for-logs", "--dir", str(Path(self.socket).parent)]
        self._process = subprocess.Popen(program, stdout=subprocess.DEVNULL)
        with redis.Redis(unix_socket_path=self.socket, password="not-for-logs") as client:
            deadline = time.monotonic() + 10
            while time.monotonic() < deadline:
                with contextlib.suppress(redis.exceptions.RedisError):
                    if client.ping():
                        return
                time.sleep(0.02)
        pytest.fail("redis-server did not start")

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=10)
            self._process = None


@pytest.fixture
def own_redis(redis_server: str) -> Iterator[OwnRedis]:
    # A socket's path may not be longer than about 100 characters; tmp_path often is.
    folder = tempfile.mkdtemp(prefix="ud-")
    server = OwnRedis(folder)
    server.start()
    try:
        yield server
    finally:
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)


# ---------------------------------------------------------------------------------------------------------------------
# In the process


SIZED = [make_entry(size, rows=1, nbytes=size) for size in range(121)]


@given(
    st.lists(
        st.tuples(st.sampled_from(["put", "get", "drop"]), st.sampled_from("abcdef"), st.integers(0, 120)), max_size=60
    )
)
def test_local_keeps_the_most_recently_used_within_its_bytes(steps: list[tuple[str, str, int]]) -> None:
    kept, model, evicted = ResultCache(max_bytes=100, prefix="", redis_url=None, lock_s=1), OrderedDict(), 0
    for step, key, size in steps:
        if step == "put":
            kept.put_local(key, SIZED[size])
            model.pop(key, None)
            if size <= 100:
                while sum(model.values()) + size > 100:
                    model.popitem(last=False)
                    evicted += 1
                model[key] = size
        elif step == "drop":
            kept.discard(key)
            model.pop(key, None)
        else:
            found = kept.local(key)
            assert (None if found is None else found.nbytes) == model.get(key)
            if key in model:
                model.move_to_end(key)
        assert (kept.nbytes, kept.entries, kept.evictions) == (sum(model.values()), len(model), evicted)


def test_local_stays_bounded_under_threads(make_cache: MakeCache) -> None:
    kept, over = make_cache(max_bytes=1_000), []
    entries = [make_entry(number, rows=1, nbytes=37 + number) for number in range(60)]

    def work(thread: int) -> None:
        for turn in range(2_000):
            number = (turn * 7 + thread * 11) % 60
            kept.put_local(f"k{number}", entries[number])
            found = kept.local(f"k{(number * 3) % 60}")
            if found is not None and found is not entries[(number * 3) % 60]:
                over.append("another key's entry")
            if kept.nbytes > 1_000:
                over.append("too much")
            if turn % 50 == 0:
                kept.discard(f"k{number}")

    with ThreadPoolExecutor(10) as pool:
        list(pool.map(work, range(10)))
    assert over == []
    assert kept.nbytes == sum(one.nbytes for k in range(60) if (one := kept.local(f"k{k}")) is not None)
    kept.clear()
    assert (kept.nbytes, kept.entries) == (0, 0)


def test_entry_larger_than_the_bound_is_handed_out_but_not_kept(make_cache: MakeCache) -> None:
    kept = make_cache(max_bytes=1_000)
    kept.put_local("small", make_entry(nbytes=500))
    made, ran = kept.compute("large", lambda: make_entry(7, nbytes=1_001), keep_s=60, fresher_than=None)
    assert (value_of(made), ran, kept.local("large"), kept.evictions) == (7, True, None, 0)
    assert kept.local("small") is not None


def test_older_entry_does_not_replace_a_newer_one(make_cache: MakeCache) -> None:
    kept = make_cache()
    kept.put_local("k", make_entry(2))
    kept.put_local("k", make_entry(1, computed_at=READ_AT - timedelta(seconds=1)))
    assert value_of(kept.local("k")) == 2


def test_reader_cannot_change_what_is_kept(make_cache: MakeCache) -> None:
    kept = make_cache()
    kept.put_local("k", make_entry())
    before = kept.local("k").frame.copy(deep=True)
    mine = kept.local("k").frame.copy(deep=False)
    mine.loc[0, "value"] = 99
    mine["new"] = 1
    mine.iloc[1, 0] = 98
    mine.pop("words")
    mine.columns = ["other", "names"]
    mine.index = [5, 6, 7]
    mine.attrs["note"] = "mine"
    kept.local("k").frame.copy(deep=False)["value"].array[2] = 97
    assert mine["other"].tolist() == [99, 98, 1]
    assert kept.local("k").frame.attrs == {}
    assert kept.local("k").frame.equals(before)
    with pytest.raises(TypeError):
        kept.local("k").parameters["limit"] = 6  # type: ignore[index]


def test_small_entries_count_what_pandas_keeps_around_them() -> None:
    assert make_entry(rows=0).nbytes > 5_000


def test_creator_that_fails_is_not_kept(make_cache: MakeCache) -> None:
    kept = make_cache()

    def fail() -> Entry:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        kept.compute("k", fail, keep_s=60, fresher_than=None)
    assert (kept.local("k"), kept.shared("k"), kept.redis_state) == (None, None, "off")


# ---------------------------------------------------------------------------------------------------------------------
# Bytes


def test_entry_survives_bytes() -> None:
    made = make_entry()
    key, back = entry_of_bytes(entry_bytes(("key|a='é'", made)))
    assert key == "key|a='é'"
    assert same_entry(back, made)


GOOD: dict[str, Any] = {
    "key": "k",
    "computed_at": "2026-06-15T10:30:00+00:00",
    "sql": "SELECT 1",
    "parameters": {},
    "timings": dataclasses.asdict(Timings()),
}


@pytest.mark.parametrize(
    "wrong",
    [
        {"key": 5},
        {"computed_at": "2026-06-15T10:30:00"},
        {"computed_at": "yesterday"},
        {"computed_at": None},
        {"sql": ["SELECT 1"]},
        {"parameters": []},
        {"timings": {"wait_ms": 1.0}},
        {"timings": {**GOOD["timings"], "wait_ms": -1}},
        {"timings": {**GOOD["timings"], "wait_ms": "1"}},
        {"timings": {**GOOD["timings"], "other": 1}},
    ],
)
def test_metadata_that_are_not_an_entrys_are_refused(wrong: dict[str, Any]) -> None:
    frame = make_entry().frame
    assert entry_of_bytes(encoded(frame, GOOD))[0] == "k"
    with pytest.raises(UnreadableFrameError):
        entry_of_bytes(encoded(frame, {**GOOD, **wrong}))
    for name in wrong:
        with pytest.raises(UnreadableFrameError):
            entry_of_bytes(encoded(frame, {k: v for k, v in GOOD.items() if k != name}))


def test_nothing_here_pickles(make_cache: MakeCache, redis_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (arrow, entry, cache, redis_level):
        names = {
            name.name if isinstance(node, ast.Import) else node.module
            for node in ast.walk(ast.parse(Path(module.__file__).read_text(encoding="utf-8")))
            if isinstance(node, ast.Import | ast.ImportFrom)
            for name in node.names
        }
        assert names.isdisjoint({"pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve"})
    for name in ("dumps", "loads"):
        monkeypatch.setattr(pickle, name, lambda *_, **__: pytest.fail("pickle was used"))
    one, other = make_cache(redis_server), make_cache(redis_server)
    one.compute("k", make_entry, keep_s=60, fresher_than=None)
    assert value_of(other.shared("k")) == 1


# ---------------------------------------------------------------------------------------------------------------------
# In Redis


@pytest.mark.redis
def test_what_one_process_computed_another_finds(make_cache: MakeCache, redis_server: str) -> None:
    one, other = make_cache(redis_server), make_cache(redis_server)
    assert other.shared("k") is None
    made, ran = one.compute("k", make_entry, keep_s=60, fresher_than=None)
    assert ran
    found = other.shared("k")
    assert found is not None
    assert same_entry(found, made)
    assert other.local("k") is found
    assert other.compute("k", never, keep_s=60, fresher_than=None)[1] is False
    one.discard("k")
    assert (one.local("k"), one.shared("k"), other.redis_state) == (None, None, "up")


@pytest.mark.redis
def test_only_what_is_fresher_counts(make_cache: MakeCache, redis_server: str) -> None:
    kept = make_cache(redis_server)
    kept.compute("k", lambda: make_entry(1), keep_s=60, fresher_than=None)
    earlier = READ_AT - timedelta(microseconds=1)
    assert kept.compute("k", never, keep_s=60, fresher_than=earlier)[1] is False
    newer = make_entry(2, computed_at=READ_AT + timedelta(seconds=1))
    found, ran = kept.compute("k", lambda: newer, keep_s=60, fresher_than=READ_AT)
    assert (value_of(found), ran, value_of(kept.local("k")), value_of(kept.shared("k"))) == (2, True, 2, 2)


@pytest.mark.redis
def test_names_and_lifetime_in_redis(make_cache: MakeCache, redis_server: str) -> None:
    prefix = f"code:mapping:{secrets.token_hex(4)}"
    kept = make_cache(redis_server, prefix=prefix)
    kept.compute("portfolio|secret-tenant", make_entry, keep_s=59.5, fresher_than=None)
    with redis.Redis.from_url(redis_server) as client:
        (name,) = client.keys(f"*{prefix}*")
        assert name.startswith(prefix.encode())
        assert b"portfolio" not in name
        assert 55 < client.ttl(name) <= 60
    assert make_cache(redis_server, prefix=prefix + "2").shared("portfolio|secret-tenant") is None


def only_name(client: redis.Redis, kept: ResultCache, key: str) -> bytes:
    before = set(client.keys("*"))
    kept.compute(key, make_entry, keep_s=60, fresher_than=None)
    (name,) = set(client.keys("*")) - before
    return name


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return pytest.fail, ("pickle was loaded",)


@pytest.mark.redis
@pytest.mark.parametrize(
    "poison",
    [
        lambda _: pickle.dumps(Bomb()),
        lambda good: good.partition(b"|")[0] + b"|" + pickle.dumps(Bomb()),
        lambda good: good[: len(good) // 2],
        lambda good: good[:5],
        lambda _: b"",
        lambda _: b"|",
        lambda _: b"[" * 100_000,
        lambda _: secrets.token_bytes(500),
        lambda good: good.partition(b"|")[0] + b"|" + entry_bytes(("the key of another tenant", make_entry(5))),
        lambda good: good.partition(b"|")[0] + b"|" + encoded(make_entry(5).frame, {"key": "k"}),
    ],
    ids=["pickle", "payload", "half", "start", "nothing", "bar", "deep", "random", "other key", "no metadata"],
)
def test_poisoned_value_is_a_miss(make_cache: MakeCache, own_redis: OwnRedis, poison: Any) -> None:
    with redis.Redis.from_url(own_redis.url) as client:
        name = only_name(client, make_cache(own_redis.url), "k")
        client.set(name, poison(client.get(name)))
        kept = make_cache(own_redis.url)
        assert (kept.shared("k"), kept.local("k"), kept.redis_state) == (None, None, "up")
        found, ran = kept.compute("k", lambda: make_entry(2), keep_s=60, fresher_than=None)
        assert (value_of(found), ran) == (2, True)
        assert value_of(make_cache(own_redis.url).shared("k")) == 2


@pytest.mark.redis
def test_something_else_in_the_values_place_is_a_miss(make_cache: MakeCache, own_redis: OwnRedis) -> None:
    with redis.Redis.from_url(own_redis.url) as client:
        name = only_name(client, make_cache(own_redis.url), "k")
        client.delete(name)
        client.rpush(name, b"x")
        kept = make_cache(own_redis.url)
        assert (kept.shared("k"), kept.redis_state) == (None, "up")


@pytest.mark.redis
def test_creator_that_fails_gives_the_lock_back(make_cache: MakeCache, redis_server: str) -> None:
    one, other = make_cache(redis_server), make_cache(redis_server)

    def fail() -> Entry:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        one.compute("k", fail, keep_s=60, fresher_than=None)
    assert (one.local("k"), one.shared("k")) == (None, None)
    at_once = lambda: pytest.fail("the lock is still held")  # noqa: E731
    assert other.compute("k", make_entry, keep_s=60, fresher_than=None, waiting=at_once)[1]


@pytest.mark.redis
def test_who_waits_may_leave_and_who_stays_gets_the_answer(make_cache: MakeCache, redis_server: str) -> None:
    holder, leaver, stayer = (make_cache(redis_server) for _ in range(3))
    inside, finish, polls = threading.Event(), threading.Event(), []

    def slow() -> Entry:
        inside.set()
        assert finish.wait(30)
        return make_entry(3)

    def leave() -> None:
        polls.append(1)
        if len(polls) == 3:
            raise InterruptedError

    with ThreadPoolExecutor(2) as pool:
        held = pool.submit(holder.compute, "k", slow, keep_s=60, fresher_than=None)
        assert inside.wait(30)
        with pytest.raises(InterruptedError):
            leaver.compute("k", never, keep_s=60, fresher_than=None, waiting=leave)
        stayed = pool.submit(stayer.compute, "k", never, keep_s=60, fresher_than=None)
        finish.set()
        assert (value_of(held.result(30)[0]), held.result(30)[1]) == (3, True)
        assert (value_of(stayed.result(30)[0]), stayed.result(30)[1]) == (3, False)


@pytest.mark.redis
def test_lock_that_never_expires_is_waited_for_no_longer_than_its_time(
    make_cache: MakeCache, own_redis: OwnRedis
) -> None:
    with redis.Redis.from_url(own_redis.url) as client:
        name = only_name(client, make_cache(own_redis.url), "k")
        client.delete(name)
        client.set(b"_lock" + name, b"planted")
        polls: list[int] = []
        kept = make_cache(own_redis.url, lock_s=0.3)
        waiting = lambda: polls.append(1)  # noqa: E731
        assert kept.compute("k", make_entry, keep_s=60, fresher_than=None, waiting=waiting)[1]
        assert polls
        assert client.get(b"_lock" + name) == b"planted"


CHILD = """
import sys, time
from datetime import UTC, datetime
from queries.arrow import frame_of
from queries.cache import Entry, ResultCache
from queries.query import Timings

url, prefix, inside_s = sys.argv[1], sys.argv[2], float(sys.argv[3])

def creator():
    print("inside", flush=True)
    time.sleep(inside_s)
    frame = frame_of([(1, "x")], ["value", "words"], [20, 25])
    return Entry.of(frame, computed_at=datetime.now(UTC), sql="", parameters={}, timings=Timings())

cache = ResultCache(max_bytes=10**6, prefix=prefix, redis_url=url, lock_s=float(sys.argv[4]))
cache.shared("another key")
print("ready", flush=True)
sys.stdin.readline()
found, ran = cache.compute("k", creator, keep_s=60, fresher_than=None)
print(found.computed_at.isoformat(), ran, flush=True)
cache.close()
"""


@contextlib.contextmanager
def children(number: int, *arguments: str) -> Iterator[list[subprocess.Popen[str]]]:
    program = [sys.executable, "-c", CHILD, *arguments]
    started = [
        subprocess.Popen(program, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(number)
    ]
    try:
        for child in started:
            assert child.stdout.readline() == "ready\n"
        yield started
    finally:
        for child in started:
            child.kill()
            child.communicate(timeout=10)


@pytest.mark.redis
def test_processes_that_ask_the_same_compute_it_once(redis_server: str) -> None:
    with children(3, redis_server, secrets.token_hex(6), "0.5", "30") as started:
        for child in started:
            child.stdin.write("go\n")
            child.stdin.flush()
        said = [child.communicate(timeout=30)[0].split("\n") for child in started]
    assert sum("inside" in one for one in said) == 1
    answers = [one[-2].split() for one in said]
    assert len({moment for moment, _ in answers}) == 1
    assert sorted(ran for _, ran in answers) == ["False", "False", "True"]


@pytest.mark.redis
def test_when_the_holder_is_killed_the_one_who_waits_computes(make_cache: MakeCache, redis_server: str) -> None:
    prefix = secrets.token_hex(6)
    with children(1, redis_server, prefix, "60", "3") as (holder,):
        holder.stdin.write("go\n")
        holder.stdin.flush()
        assert holder.stdout.readline() == "inside\n"
        holder.send_signal(signal.SIGKILL)
        holder.wait(10)
        polls: list[int] = []
        kept = make_cache(redis_server, prefix=prefix, lock_s=30)
        found, ran = kept.compute(
            "k", lambda: make_entry(8), keep_s=60, fresher_than=None, waiting=lambda: polls.append(1)
        )
    assert (value_of(found), ran) == (8, True)
    assert polls


# ---------------------------------------------------------------------------------------------------------------------
# Without Redis


def said_by(caplog: pytest.LogCaptureFixture) -> list[tuple[int, str]]:
    return [(one.levelno, one.getMessage()) for one in caplog.records if one.name == "queries.redis_level"]


@pytest.mark.redis
def test_redis_goes_and_comes_back(
    make_cache: MakeCache, own_redis: OwnRedis, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    kept = make_cache(own_redis.url)
    kept.compute("before", make_entry, keep_s=60, fresher_than=None)
    for round_ in (1, 2):
        caplog.clear()
        own_redis.kill()
        for number in range(20):
            found, ran = kept.compute(f"{round_}:{number}", make_entry, keep_s=60, fresher_than=None)
            assert ran
            assert kept.local(f"{round_}:{number}") is found
            time.sleep(0.01)
        assert (kept.shared("before"), kept.redis_state) == (None, "down")
        assert [level for level, _ in said_by(caplog)] == [logging.WARNING]
        own_redis.start()
        deadline = time.monotonic() + 30
        while kept.redis_state == "down" and time.monotonic() < deadline:
            kept.shared("anything")
            time.sleep(0.01)
        kept.compute(f"back {round_}", make_entry, keep_s=60, fresher_than=None)
        assert value_of(make_cache(own_redis.url).shared(f"back {round_}")) == 1
        assert [level for level, _ in said_by(caplog)] == [logging.WARNING, logging.INFO]
        assert "not-for-logs" not in caplog.text


@pytest.mark.redis
def test_redis_killed_while_the_lock_is_held_and_waited_for(
    make_cache: MakeCache, own_redis: OwnRedis, caplog: pytest.LogCaptureFixture
) -> None:
    holder, waiter = make_cache(own_redis.url), make_cache(own_redis.url)
    inside, waits = threading.Event(), threading.Event()

    def slow() -> Entry:
        inside.set()
        assert waits.wait(30)
        own_redis.kill()
        return make_entry(4)

    with ThreadPoolExecutor(2) as pool:
        held = pool.submit(holder.compute, "k", slow, keep_s=60, fresher_than=None)
        assert inside.wait(30)
        waited = pool.submit(
            waiter.compute, "k", lambda: make_entry(5), keep_s=60, fresher_than=None, waiting=waits.set
        )
        assert (value_of(held.result(30)[0]), value_of(waited.result(30)[0])) == (4, 5)
    assert (value_of(holder.local("k")), value_of(waiter.local("k"))) == (4, 5)
    assert [level for level, _ in said_by(caplog)] == [logging.WARNING] * 2  # one of each cache


@pytest.mark.redis
def test_one_warning_however_many_threads_see_it(
    make_cache: MakeCache, own_redis: OwnRedis, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    kept = make_cache(own_redis.url, redis_rest_s=60)
    stop = threading.Event()

    def work(thread: int) -> int:
        turns = 0
        while not stop.is_set():
            kept.compute(f"{thread}:{turns % 9}", make_entry, keep_s=60, fresher_than=None)
            turns += 1
        return turns

    with ThreadPoolExecutor(8) as pool:
        working = [pool.submit(work, thread) for thread in range(8)]
        time.sleep(0.3)
        own_redis.kill()
        time.sleep(0.3)
        stop.set()
        assert all(one.result(30) for one in working)
    assert [level for level, _ in said_by(caplog)] == [logging.WARNING]


def test_redis_that_was_never_there(make_cache: MakeCache, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    kept = make_cache(f"unix://somebody:not-for-logs@{tmp_path}/none?password=not-for-logs", redis_rest_s=60)
    assert kept.shared("k") is None
    assert kept.compute("k", make_entry, keep_s=60, fresher_than=None)[1]
    assert value_of(kept.local("k")) == 1
    ((level, message),) = said_by(caplog)
    assert level == logging.WARNING
    assert f"unix://{tmp_path}/none" in message
    assert "not-for-logs" not in caplog.text
    assert "somebody" not in caplog.text


class Clock:
    def __init__(self) -> None:
        self.now_s = 1_000.0

    def monotonic(self) -> float:
        return self.now_s


def test_redis_that_failed_is_left_alone_then_tried_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(redis_level, "time", clock)
    outage = redis_level.Outage("redis://here", rest_s=5.0)
    early, late = outage.attempt(), outage.attempt()
    outage.failed(early, redis.exceptions.ConnectionError())
    assert (outage.state, outage.attempt()) == ("down", None)
    outage.worked(late)  # began before the outage, reported after it: says nothing about now
    assert outage.state == "down"
    clock.now_s += 4.9
    assert outage.attempt() is None
    clock.now_s += 0.1
    probe = outage.attempt()
    assert (probe is None, outage.attempt()) == (False, None)
    outage.failed(probe, redis.exceptions.ConnectionError())
    clock.now_s += 4.9
    assert outage.attempt() is None
    clock.now_s += 0.1
    probe = outage.attempt()
    outage.worked(probe)
    assert outage.state == "up"
    outage.failed(early, redis.exceptions.ConnectionError())
    assert outage.state == "up"


@pytest.mark.parametrize("url", ["http://host:not-for-logs", "redis://host:not-for-logs/0", "redis://[::1"])
def test_address_that_cannot_be_read_stops_the_start_without_telling_it(url: str) -> None:
    with pytest.raises(SettingsError, match="REDIS_URL is not accepted") as caught:
        RedisLevel(url, prefix="", lock_s=1, rest_s=1)
    assert "not-for-logs" not in str(caught.value)


def test_redis_client_is_loaded_only_for_those_who_have_redis() -> None:
    program = "import sys, queries.cache as c; c.ResultCache(max_bytes=1, prefix='', redis_url=None, lock_s=1)"
    done = subprocess.run(
        [sys.executable, "-c", program + "; assert 'redis' not in sys.modules"], cwd=ROOT, check=False
    )
    assert done.returncode == 0


def test_entry_without_zone_or_with_a_lost_index_is_refused() -> None:
    with pytest.raises(ValueError, match="no zone"):
        make_entry(computed_at=datetime(2026, 1, 1))  # noqa: DTZ001
    frame = pd.DataFrame({"a": [1]}, index=pd.Index([1], name="day"))
    with pytest.raises(ValueError, match="reset_index"):
        Entry.of(frame, computed_at=READ_AT, sql="", parameters={}, timings=Timings())
