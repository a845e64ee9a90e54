"""Sparklines: every known value is a point in order, a gap is a gap, and nothing is drawn out of the picture."""

import re
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.figures.sparklines import sparkline

values = st.one_of(st.none(), st.integers(-(10**9), 10**9), st.floats(-1e9, 1e9))


def lines(svg: str) -> list[list[tuple[float, float]]]:
    found = []
    for path in ET.fromstring(svg):  # noqa: S314 - our own text
        pairs = re.findall(r"(-?[\d.]+),(-?[\d.]+)", path.attrib["d"])
        found.append([(float(x), float(y)) for x, y in pairs])
    return found


@given(st.lists(values, max_size=60))
def test_every_known_value_is_a_point_and_a_gap_is_none(given_values: list[float | None]) -> None:
    svg = sparkline(given_values)
    known = [one for one in given_values if one is not None]
    if len(known) < 2 or not any(known):
        assert svg == ""
        return
    points = [point for line in lines(svg) for point in dict.fromkeys(line)]
    assert len(points) == len(known)
    assert all(0 <= x <= 160 and 0 <= y <= 24 for x, y in points)
    assert [x for x, _ in points] == sorted(x for x, _ in points)
    # A greater value stands no lower.
    for (_, y), one in zip(points, known, strict=True):
        for (_, other_y), other in zip(points, known, strict=True):
            assert y <= other_y or one <= other
    runs = "".join("." if one is None else "x" for one in given_values).split(".")
    assert len(lines(svg)) == len([one for one in runs if one])


@pytest.mark.parametrize("given_values", [[], [1], [None, 5, None], [0, 0, 0], [None, None]])
def test_what_is_no_line_is_not_drawn(given_values: list[float | None]) -> None:
    assert sparkline(given_values) == ""
