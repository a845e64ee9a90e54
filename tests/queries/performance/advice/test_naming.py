"""Indexes of one workload have names of their own, also where Prisma's default would be the same."""

from hypothesis import given
from hypothesis import strategies as st

from queries.performance.advice.findings import Findings
from queries.performance.advice.index import Index, Key

keys = st.builds(Key, column=st.sampled_from(["a", "b", "at"]), descending=st.booleans())
indexes = st.builds(
    Index,
    schema=st.sampled_from(["public", "other"]),
    table=st.sampled_from(["T", "T_a"]),
    keys=st.lists(keys, min_size=1, max_size=2, unique_by=lambda key: key.column).map(tuple),
)
taken = st.frozensets(st.sampled_from(["T_a_idx", "T_a_b_idx", "T_at_idx"]))


@given(st.lists(indexes, max_size=8, unique=True), taken)
def test_no_two_have_the_same_name_and_none_has_one_that_is_taken(chosen: list[Index], there: frozenset[str]) -> None:
    found = Findings([], [], {}, chosen, {}, {}, {}, {}, {}, {"public": there}, "hypopg")
    named = [(one.schema, one.name(found.names(one))) for one in chosen]
    assert len(set(named)) == len(named)
    assert not {name for schema, name in named if schema == "public"} & there
    turned = Findings([], [], {}, chosen[::-1], {}, {}, {}, {}, {}, {"public": there}, "hypopg")
    assert [one.name(turned.names(one)) for one in chosen] == [name for _, name in named]
