"""Which alert was told when: the table and the memory of a process answer alike, and of several one may tell."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from queries.alert_state import HOUR, Claim, Claims, Kept, Remembered, Wanted, claiming
from queries.database import driver_url
from queries.errors import MappingError
from tests.conftest import OWNER, Server, _clone

NOON = datetime(2026, 6, 15, 12, 0, tzinfo=UTC)
SUBJECTS = st.sampled_from(["slow a", "slow b'%", "regression a 1.2", "held back"])
STEPS = st.lists(
    st.tuples(SUBJECTS, st.integers(0, 200), st.sampled_from([None, 1, 2]), st.sampled_from([True, True, False])),
    max_size=8,
)


@pytest.fixture(scope="module")
def engine(server: Server, template: str) -> Iterator[sa.Engine]:
    with _clone(server, template) as name:
        engine = sa.create_engine(driver_url(server.url(name, OWNER)), pool_size=8)
        yield engine
        engine.dispose()


@pytest.fixture
def kept(engine: sa.Engine) -> Kept:
    forget(engine)
    return Kept(engine)


def forget(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM usage_dashboard.alert"))


def wanted(subject: str, minutes: int, slots: int | None = None) -> Wanted:
    at = NOON + timedelta(minutes=minutes)
    names = None if slots is None else [f"message {number}" for number in range(1, slots + 1)]
    return Wanted(subject, f"{subject} at {minutes}", at, at - HOUR, names)


@given(steps=STEPS)
def test_the_table_and_the_memory_answer_as_a_plain_dictionary(
    engine: sa.Engine, steps: list[tuple[str, int, int | None, bool]]
) -> None:
    """Each step wants a subject at some minute, with a slot or without, and may give it back."""
    forget(engine)
    told: dict[str, datetime] = {}
    both: list[Claims] = [Kept(engine), Remembered()]
    for subject, minutes, slots, is_kept in steps:
        asked = wanted(subject, minutes, slots)
        due = {one for one in (subject, *(asked.slots or [])) if one not in told or told[one] <= asked.at - HOUR}
        slot = next((one for one in asked.slots or [] if one in due), None)
        expected = "taken" if subject not in due else "full" if slots is not None and slot is None else "ours"
        for claims in both:
            claim = claims.claim(asked)
            assert expected == ("ours" if isinstance(claim, Claim) else claim)
            if isinstance(claim, Claim) and not is_kept:
                claims.give_back(claim)
        if expected == "ours" and is_kept:
            told |= {one: asked.at for one in (subject, slot) if one is not None}
        assert [claims.told() for claims in both] == [told, told]


def test_what_is_given_back_has_its_last_sentence_again(kept: Kept, engine: sa.Engine) -> None:
    kept.claim(wanted("slow a", 0))
    later = kept.claim(wanted("slow a", 60, slots=1))
    assert isinstance(later, Claim)
    assert set(kept.told()) == {"slow a", "message 1"}
    kept.give_back(later)
    with engine.connect() as connection:
        rows = connection.execute(sa.text("SELECT subject, sentence, told_at FROM usage_dashboard.alert")).all()
    assert [tuple(one) for one in rows] == [("slow a", "slow a at 0", NOON)]


def test_what_another_claimed_since_is_not_given_back(kept: Kept) -> None:
    for claims in (kept, Remembered()):
        first = claims.claim(wanted("slow a", 0))
        assert isinstance(first, Claim)
        claims.claim(wanted("slow a", 61))
        claims.give_back(first)
        assert claims.told() == {"slow a": NOON + timedelta(minutes=61)}


def fail(claims: Claims) -> None:
    with claiming(claims, wanted("slow a", 0, slots=1)) as came:
        assert came == "ours"
        raise ValueError("inside")


def test_an_error_gives_back_all_that_was_claimed(kept: Kept) -> None:
    for claims in (kept, Remembered()):
        with pytest.raises(ValueError, match="inside"):
            fail(claims)
        assert claims.told() == {}
        with claiming(claims, wanted("slow a", 0, slots=1)):
            pass
        assert set(claims.told()) == {"slow a", "message 1"}


def test_of_many_at_once_each_subject_is_told_by_one_and_the_slots_are_enough_for_as_many(kept: Kept) -> None:
    """Eight want four subjects, and there are three slots: three come to be told, whoever is first, and the fourth is
    refused to both for want of a slot."""
    subjects = [f"slow {name}" for name in "abcd"] * 2
    for claims in (kept, Remembered()):
        barrier = threading.Barrier(len(subjects))

        def claim(subject: str, claims: Claims = claims, barrier: threading.Barrier = barrier) -> tuple[str, str]:
            barrier.wait(30)
            found = claims.claim(wanted(subject, 0, slots=3))
            return subject, "ours" if isinstance(found, Claim) else found

        with ThreadPoolExecutor(len(subjects)) as processes:
            found = sorted(processes.map(claim, subjects))
        of = {name: sorted(said for subject, said in found if subject == name) for name in subjects}
        assert sorted(of.values()) == [["full", "full"], *[["ours", "taken"]] * 3]
        assert len(claims.told()) == 6


def test_without_its_table_it_says_what_to_run(server: Server, template: str) -> None:
    with _clone(server, template) as name:
        engine = sa.create_engine(driver_url(server.url(name, OWNER)))
        with engine.begin() as connection:
            connection.execute(sa.text("DROP TABLE usage_dashboard.alert"))
        with pytest.raises(MappingError, match="python -m dashboard migrate"):
            Kept(engine).told()
        with pytest.raises(MappingError, match="python -m dashboard migrate"):
            Kept(engine).claim(wanted("slow a", 0))
        engine.dispose()
