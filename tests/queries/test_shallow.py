"""A reader's copy of a cached frame is what pandas' own shallow copy is."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from queries.arrow import frame_of
from queries.shallow import shallow_copy

VALUES: dict[str, Any] = {
    "int8": 4,
    "text": "a",
    "numeric": Decimal("1.5"),
    "timestamptz": datetime(2026, 3, 29, 1, tzinfo=UTC),
    "bool": True,
    "float8": 0.5,
}


def made(types: list[str], rows: int) -> pd.DataFrame:
    oids = [psycopg.adapters.types[one].oid for one in types]
    one = tuple(VALUES[name] for name in types)
    return frame_of([one if row % 2 else (None,) * len(types) for row in range(rows)], _names(types), oids)


def _names(types: list[str]) -> list[str]:
    return [f"c{number}" for number in range(len(types))]


frames = st.builds(made, st.lists(st.sampled_from(sorted(VALUES)), max_size=8), st.integers(0, 5))


@given(frames)
def test_it_equals_pandas_own(frame: pd.DataFrame) -> None:
    copied = shallow_copy(frame)
    pd.testing.assert_frame_equal(copied, frame.copy(deep=False))
    pd.testing.assert_index_equal(copied.index, frame.index, exact=True)
    assert type(copied) is pd.DataFrame
    assert copied is not frame


@pytest.mark.parametrize("changed", ["copy", "source"])
def test_a_change_of_one_is_not_seen_in_the_other(changed: str) -> None:
    frame = made(sorted(VALUES), 4)
    before = frame.copy(deep=True)
    copied = shallow_copy(frame)
    victim, kept = (copied, frame) if changed == "copy" else (frame, copied)
    for name in list(victim.columns):
        victim.loc[0, name] = victim.loc[1, name]
    victim["more"] = 1
    victim.index.name = "row"
    victim.columns.name = "column"
    del victim["c1"]
    victim.iloc[2:, 0] = pd.NA
    pd.testing.assert_frame_equal(kept, before)
    assert kept.index.name is None
    assert kept.columns.name is None


def test_numpy_columns_are_copied_on_write_too() -> None:
    frame = pd.DataFrame({"a": np.arange(4), "b": np.arange(4)})
    copied = shallow_copy(frame)
    assert np.shares_memory(copied["a"].to_numpy(), frame["a"].to_numpy())
    copied.loc[0, "a"] = -1
    assert frame["a"].tolist() == [0, 1, 2, 3]


def test_the_short_way_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when a new pandas needs the long way: then it is time to look at `shallow_copy` again."""
    frame = made(sorted(VALUES), 2)
    monkeypatch.setattr(pd.DataFrame, "copy", lambda *_args, **_kwargs: pytest.fail("the long way"))
    assert len(shallow_copy(frame)) == 2
