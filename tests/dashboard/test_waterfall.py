"""The bars of one page run: where each begins, how long it is, and that nothing in it is markup."""

from hypothesis import given
from hypothesis import strategies as st

from dashboard.figures.waterfall import PARTS, Bar, waterfall

_ms = st.floats(0, 10_000).map(lambda one: round(one, 3))
_bars = st.lists(st.builds(Bar, name=st.text(), start_ms=_ms, parts_ms=st.dictionaries(st.sampled_from(PARTS), _ms)))


@given(_bars)
def test_parts_follow_each_other_and_end_where_the_question_ended(bars: list[Bar]) -> None:
    figure = waterfall(bars)
    ends = [one.start_ms for one in bars]
    for trace in (one for one in figure.data if one.type == "bar"):
        assert list(trace.base) == ends
        assert list(trace.x) == [one.parts_ms.get(trace.name, 0) for one in bars]
        ends = [base + width for base, width in zip(trace.base, trace.x, strict=True)]
    assert ends == [
        sum(
            (one.parts_ms.get(part, 0) for part in PARTS if any(each.parts_ms.get(part) for each in bars)), one.start_ms
        )
        for one in bars
    ]
    assert all(figure.layout.xaxis.range[1] >= end for end in ends)


@given(st.text(), st.text())
def test_names_and_hovers_are_no_markup(name: str, hover: str) -> None:
    figure = waterfall([Bar(f"<b>{name}</b>", 0, {"database": 1}, note=f"<i>{name}", hover=f"<script>{hover}")])
    assert "<b>" not in figure.layout.yaxis.ticktext[0]
    assert "<i>" not in figure.layout.yaxis.ticktext[0]
    assert "<script>" not in str(figure.data[0].customdata[0])


def test_a_part_that_nobody_spent_time_on_has_no_entry_in_the_legend() -> None:
    figure = waterfall([Bar("one", 0, {"database": 3.0, "cache": 0.0})])
    assert [one.name for one in figure.data if one.type == "bar"] == ["database"]


def test_no_bar_is_an_empty_figure() -> None:
    assert len(waterfall([]).data) == 1
