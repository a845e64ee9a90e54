"""What the digest remembers: by recipient, in steps, and one digest at a time."""

import threading
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from queries.database import driver_url
from queries.digest_state import Told, remembering
from queries.errors import DatabaseUnavailableError, MappingError
from tests.conftest import OWNER, Server, _clone

FLAGS = [Told(tenant, rule, "at_risk", tenant.upper(), f"{tenant} {rule}") for tenant in "ab'%" for rule in ("x", "y")]


@pytest.fixture(scope="module")
def engine(server: Server, template: str) -> Iterator[sa.Engine]:
    with _clone(server, template) as name:
        engine = sa.create_engine(driver_url(server.url(name, OWNER)))
        yield engine
        engine.dispose()


@given(st.lists(st.tuples(st.sampled_from(["one", "two"]), st.sets(st.sampled_from(FLAGS))), max_size=6))
def test_it_holds_what_was_told_and_has_not_cleared(engine: sa.Engine, steps: list[tuple[str, set[Told]]]) -> None:
    """Against plain sets: each step says what a recipient's present flags are."""
    with engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM usage_dashboard.digest_state"))
    expected: dict[str, set[Told]] = {"one": set(), "two": set()}
    for recipient, present in steps:
        with remembering(engine) as memory:
            told = set(memory.told(recipient).values())
            assert told == expected[recipient]
            memory.remember(recipient, rose=sorted(present - told, key=str), cleared=sorted(told - present, key=str))
        expected[recipient] = present
    with remembering(engine) as memory:
        assert {name: set(memory.told(name).values()) for name in expected} == expected


def test_telling_again_with_other_numbers_keeps_the_newer_sentence(engine: sa.Engine) -> None:
    first, second = Told("t", "r", "upsell", "T", "80 %"), Told("t", "r", "upsell", "T", "90 %")
    with remembering(engine) as memory:
        memory.remember("again", rose=[first], cleared=[])
        memory.remember("again", rose=[second], cleared=[])
        assert memory.told("again") == {("t", "r"): second}


def test_a_second_digest_waits_for_the_first(engine: sa.Engine) -> None:
    entered, order = threading.Event(), []

    def second() -> None:
        entered.set()
        with remembering(engine) as memory:
            order.append(("second", len(memory.told("waits"))))

    with remembering(engine) as memory:
        thread = threading.Thread(target=second)
        thread.start()
        entered.wait(10)
        memory.remember("waits", rose=FLAGS[:1], cleared=[])
        order.append(("first", 1))
    thread.join(30)
    assert order == [("first", 1), ("second", 1)]


def test_one_that_does_not_end_is_named_after_a_while(engine: sa.Engine) -> None:
    with (
        remembering(engine),
        pytest.raises(DatabaseUnavailableError, match="another digest"),
        remembering(engine, lock_wait_s=0.05),
    ):
        pass
    with remembering(engine, lock_wait_s=5):
        pass  # the lock ended with the first


def test_an_error_inside_gives_the_lock_back(engine: sa.Engine) -> None:
    with pytest.raises(ValueError, match="inside"), remembering(engine):
        raise ValueError("inside")
    with remembering(engine, lock_wait_s=5) as memory:
        assert memory.told("nobody") == {}


def test_without_its_table_it_says_what_to_run(server: Server, template: str) -> None:
    with _clone(server, template) as name:
        engine = sa.create_engine(driver_url(server.url(name, OWNER)))
        with engine.begin() as connection:
            connection.execute(sa.text("DROP TABLE usage_dashboard.digest_state"))
        with pytest.raises(MappingError, match="python -m dashboard migrate"), remembering(engine) as memory:
            memory.told("anybody")
        engine.dispose()
