"""The list of single generations, page by page."""

from datetime import timedelta

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from queries.catalog import generations
from queries.errors import ArgumentError
from queries.scope import Scope
from tests.queries.catalog.conftest import OpenWorld
from tests.queries.catalog.world import SHAPES, Shape, ask, made_world, period_around, rows_of, transitions

CENTRE = transitions("America/Havana")[1]


@settings(max_examples=16)
@given(st.integers(0, 10**6), st.sampled_from(SHAPES), st.integers(0, 130), st.integers(1, 40), st.booleans())
def test_a_page_is_a_slice_of_the_newest_first(
    open_world: OpenWorld, seed: int, shape: Shape, offset: int, limit: int, of_one_user: bool
) -> None:
    world = made_world(seed, shape, CENTRE)
    period = period_around(CENTRE, "America/Havana", "day", 3, 3, CENTRE + timedelta(days=2))
    user = world.tenants[0].users[0] if of_one_user else None
    query = generations.latest(
        Scope.all_tenants(), period=period, offset=offset, limit=limit, user_id=None if user is None else str(user)
    )
    with open_world(shape, world, "Asia/Kathmandu") as (connection, tables):
        found = rows_of(ask(connection, tables, query))
    inside = [one for one in world.within(period.start, period.until) if user is None or one.user == user]
    inside.sort(key=lambda one: one.created_at, reverse=True)
    page = inside[offset : offset + limit]
    assert [one["created_at"].to_pydatetime() for one in found] == [one.created_at for one in page]
    by_id = {str(one.id): one for one in inside}
    for one in found:
        own = by_id[one["generation_id"]]
        assert one["total_rows"] == len(inside)
        assert one["prompt"] == "p" * 200
        assert (one["credits"], one["status"], one["type"]) == (own.credits, own.status, own.type)
        assert (one["user_id"], one["user"]) == (str(own.user), world.user_names[own.user])
        assert one["images"] == own.images
        assert (one["image_id"] is None) == (one["image_url"] is None) == (own.images == 0)


def test_an_id_that_cannot_be_a_users_finds_nobody(open_world: OpenWorld) -> None:
    period = period_around(CENTRE, "UTC", "day", 3, 3, CENTRE + timedelta(days=9))
    for shape in SHAPES:
        world = made_world(5, shape, CENTRE)
        with open_world(shape, world) as (connection, tables):
            for user in ("\x00", "\ud800", "' OR 1=1", "99999999999999999999999", "", "%"):
                query = generations.latest(Scope.all_tenants(), period=period, offset=0, limit=9, user_id=user)
                assert len(ask(connection, tables, query)) == 0


@settings(max_examples=20)
@given(
    st.integers(0, 10**6),
    st.sampled_from(SHAPES),
    st.sampled_from((None, "FAILED", "PENDING", "MOON", "\x00")),
    st.sampled_from((None, "UPSCALE", "failed'; --")),
    st.sampled_from((None, "m0", "m1", "nothing", "\ud800")),
)
def test_a_list_is_narrowed_to_what_is_wanted(
    open_world: OpenWorld, seed: int, shape: Shape, status: str | None, kind: str | None, model: str | None
) -> None:
    world = made_world(seed, shape, CENTRE)
    period = period_around(CENTRE, "America/Havana", "day", 3, 3, CENTRE + timedelta(days=2))
    query = generations.latest(
        Scope.all_tenants(), period=period, offset=0, limit=500, status=status, generation_type=kind, model=model
    )
    with open_world(shape, world, "Asia/Kathmandu") as (connection, tables):
        found = rows_of(ask(connection, tables, query))
    expected = {
        str(one.id)
        for one in world.within(period.start, period.until)
        if status in (None, one.status) and kind in (None, one.type) and model in (None, one.model)
    }
    assert {one["generation_id"] for one in found} == expected
    names = {str(one.id): one.name for one in world.tenants}
    assert all(one["tenant"] == names[one["tenant_id"]] for one in found)
    assert all(one["total_rows"] == len(expected) for one in found)


def test_many_at_one_instant_are_paged_without_a_gap(open_world: OpenWorld) -> None:
    world = made_world(7, "prisma", CENTRE)
    for one in world.generations:
        one.created_at = CENTRE
    period = period_around(CENTRE, "UTC", "day", 1, 1, CENTRE + timedelta(days=1))
    with open_world("prisma", world) as (connection, tables):
        pages = [
            ask(
                connection,
                tables,
                generations.latest(Scope.all_tenants(), period=period, offset=offset, limit=50),
            )
            for offset in (0, 50, 100)
        ]
    found = [one["generation_id"] for page in pages for one in rows_of(page)]
    assert sorted(found) == sorted(str(one.id) for one in world.generations)


@settings(max_examples=16)
@given(st.integers(0, 10**6), st.sampled_from(SHAPES), st.integers(0, 9), st.integers(1, 9), st.integers(-72, 72))
def test_what_has_not_ended_after_a_quarter_of_an_hour_is_stuck(
    open_world: OpenWorld, seed: int, shape: Shape, offset: int, limit: int, hours: int
) -> None:
    world = made_world(seed, shape, CENTRE)
    now = CENTRE + timedelta(hours=hours)
    query = generations.stuck(Scope.all_tenants(), now=now, offset=offset, limit=limit)
    with open_world(shape, world, "Asia/Kathmandu") as (connection, tables):
        found = rows_of(ask(connection, tables, query))
    old = [
        one
        for one in world.generations
        if one.status in ("PENDING", "PROCESSING") and one.created_at < now - timedelta(minutes=15)
    ]
    times = sorted(one.created_at for one in old)
    assert [one["created_at"].to_pydatetime() for one in found] == times[offset : offset + limit]
    assert {one["generation_id"] for one in found} <= {str(one.id) for one in old}
    assert all(one["total_rows"] == len(old) for one in found)


@pytest.mark.parametrize("shape", SHAPES)
def test_pictures_are_the_first_of_each_generation_and_bounded(open_world: OpenWorld, shape: Shape) -> None:
    world = made_world(11, shape, CENTRE)
    wanted = [one for one in world.generations if one.images][:3]
    since = min(one.created_at for one in wanted)
    scope = Scope.of([str(one.tenant) for one in wanted])
    sizes = [9, generations.SHOWN_BYTES + 1, generations.DOWNLOADED_BYTES + 1]
    with open_world(shape, world, "Asia/Kathmandu") as (connection, tables):
        image = tables.image
        firsts = {}
        for one, size in zip(wanted, sizes, strict=True):
            of_one = image.c.generation_id == one.id
            first = connection.execute(sa.select(sa.func.min(sa.cast(image.c.id, sa.Text))).where(of_one)).scalar()
            same = sa.cast(image.c.id, sa.Text) == first
            connection.execute(image.update().where(same).values(data=b"\x89" * size, url=None))
            firsts[str(one.id)] = (str(first), size)
        ids = tuple(str(one.id) for one in wanted)
        shown = rows_of(ask(connection, tables, generations.pictures(scope, generation_ids=ids, since=since)))
        files = {
            key: rows_of(ask(connection, tables, generations.picture(scope, image_id=first)))
            for key, (first, _) in firsts.items()
        }
        foreign = Scope.of(["somebody else"])
        assert ask(connection, tables, generations.pictures(foreign, generation_ids=ids, since=since)).empty
        assert ask(connection, tables, generations.picture(foreign, image_id=firsts[ids[0]][0])).empty
    assert {one["generation_id"]: (one["image_id"], one["stored_bytes"]) for one in shown} == firsts
    by_id = {one["generation_id"]: one for one in shown}
    assert [None if by_id[one]["data"] is None else len(by_id[one]["data"]) for one in ids] == [9, None, None]
    assert all(one["head"] == b"\x89" * min(12, one["stored_bytes"]) for one in shown)
    assert [None if (data := files[one][0]["data"]) is None else len(data) for one in ids] == [9, sizes[1], None]


def test_no_more_pictures_than_a_page_can_show() -> None:
    query = generations.pictures(Scope.of(["a"]), generation_ids=tuple(str(one) for one in range(51)), since=CENTRE)
    with pytest.raises(ArgumentError, match="at most 50"):
        query.statement()
