"""The list of single generations, page by page."""

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from queries.catalog import generations
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
