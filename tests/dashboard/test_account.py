"""What the Tenant page says about an account: sentences, and what a link asks for."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest
import streamlit as st
from hypothesis import given, strategies

from dashboard.account import cards, credits, movements, quotas, sought, standing
from dashboard.figures.colours import HUES
from dashboard.figures.heatmaps import heatmap
from dashboard.figures.pacing import as_before, burn_against_expected, even
from dashboard.figures.usage import latency_lines, on_one_scale, usage_bars
from dashboard.insights import flags, runway
from dashboard.insights.runway import Runway
from queries.period import Period

NOW = datetime(2026, 6, 15, 10, 30, tzinfo=UTC)
PERIOD = Period.last_days(10, zone="Europe/Berlin", now=NOW, grain="day")
ROW: dict[str, Any] = {
    "credits_left": 400,
    "credits_per_period": 1_000,
    "used_in_period_credits": 600,
    "plan": "PRO",
    "subscription_status": "ACTIVE",
    "renewing": True,
    "period_start": NOW - timedelta(days=15),
    "renews_at": NOW + timedelta(days=15),
}


def test_a_standing_says_what_is_left_how_long_the_pace_and_the_renewal():
    lasts = Runway("runs_out", 3, 5, 9)
    assert standing.lines(ROW, lasts, NOW, "UTC") == [
        "400 credits left of 1,000 per period.",
        runway.sentence(lasts, date(2026, 6, 15)),
        "60.0 % of this period's credits are used and 50.0 % of the period has passed (pacing 1.20).",
        "Plan Pro, active; renews on 30 Jun 2026 (in 15 days).",
    ]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"credits_left": None}, standing.NO_BALANCE),
        ({"credits_left": -340}, "−340 credits left of 1,000 per period: more was charged than was there."),
        ({"credits_per_period": None}, "400 credits left."),
        ({"plan": None}, "No subscription is known, so there is no renewal to wait for."),
        ({"renews_at": None}, "Plan Pro, active; no renewal date is known."),
        ({"renewing": False}, "Plan Pro, active; ends on 30 Jun 2026 (in 15 days)."),
        (
            {"renews_at": NOW - timedelta(days=3)},
            "Plan Pro, active; was due for renewal on 12 Jun 2026 (3 days overdue).",
        ),
    ],
)
def test_what_is_missing_or_odd_is_said(changed, said):
    assert said in standing.lines(ROW | changed, None, NOW, "UTC")


def test_without_a_balance_there_is_no_runway_and_no_pace():
    row = ROW | {"credits_left": None}
    said = standing.lines(row, Runway("no_balance", None, None, None), NOW, "UTC")
    assert said == [standing.NO_BALANCE, "Plan Pro, active; renews on 30 Jun 2026 (in 15 days)."]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({}, ""),
        ({"period_start": None}, "No subscription period is known"),
        ({"renews_at": NOW - timedelta(days=1)}, "does not hold today"),
        ({"period_start": NOW + timedelta(days=1)}, "does not hold today"),
        ({"renews_at": NOW + timedelta(days=900)}, "longer than 400 days"),
    ],
)
def test_the_burn_is_added_up_over_the_subscription_period_or_the_last_28_days(changed, reason):
    span = credits.of_subscription(ROW | changed, PERIOD)
    assert span.is_subscription == (not reason)
    assert reason in span.reason
    days = (span.period.end - span.period.start).days
    assert days == (30 if not reason else 29)
    assert span.period.start <= NOW < span.period.end


@given(
    strategies.integers(-500, 500),
    strategies.integers(-500, 500),
    strategies.sampled_from((None, 0, 100)),
    strategies.sampled_from((None, -340, 0, 300)),
)
def test_what_is_left_is_a_share_of_a_period_that_runs_and_of_no_other(began, ends, granted, left):
    start, end = NOW + timedelta(days=began), NOW + timedelta(days=ends)
    row = ROW | {"credits_per_period": granted, "credits_left": left, "period_start": start, "renews_at": end}
    runs = began <= 0 < ends and ends - began <= 400
    assert bool(flags.no_period(row, NOW)) == (not runs)
    assert credits.of_subscription(row, PERIOD).is_subscription == runs
    wanted = left / granted if runs and granted and left is not None else None
    assert flags.left_share(row, NOW) == wanted
    for missing in ("period_start", "renews_at"):
        assert flags.left_share(row | {missing: None}, NOW) is None


@pytest.mark.parametrize(
    ("changed", "said", "differs"),
    [
        ({}, "Yes: 3 movements add up to 400 credits, exactly the balance.", False),
        (
            {"credits_left": 650, "difference_credits": 250},
            "No: 3 movements add up to 400 credits, and the balance is 650: 250 more than the ledger explains.",
            True,
        ),
        (
            {"credits_left": Decimal("399.9"), "difference_credits": Decimal("-0.1")},
            "No: 3 movements add up to 400 credits, and the balance is 399.9: 0.1 fewer than the ledger explains.",
            True,
        ),
        ({"credits_left": None, "difference_credits": None}, "there is no balance to hold them against", True),
        (
            {"movements": 0, "ledger_credits": 0, "credits_left": None, "difference_credits": None},
            "There is neither a movement of credits nor a balance for this tenant yet.",
            False,
        ),
        (
            {"movements": 0, "ledger_credits": 0, "credits_left": 90, "difference_credits": 90},
            "No: 0 movements add up to 0 credits, and the balance is 90: 90 more than the ledger explains.",
            True,
        ),
        (
            {"movements": 0, "ledger_credits": 0, "credits_left": 0, "difference_credits": 0},
            "The balance is 0 and there is no movement of credits yet.",
            False,
        ),
    ],
)
def test_the_ledger_says_whether_it_adds_up(changed, said, differs):
    row = {"movements": 3, "ledger_credits": 400, "credits_left": 400, "difference_credits": 0} | changed
    sentence, is_different = movements.reconciliation(row)
    assert said in sentence
    assert is_different == differs


# ---- quotas


@pytest.mark.parametrize(
    ("count", "limit", "share"), [(0, 10, 0.0), (5, 10, 0.5), (12, 10, 1.2), (0, 0, 0.0), (1, 0, 1.0)]
)
def test_a_quota_of_zero_is_used_up_by_the_first_try(count, limit, share):
    assert quotas.used_share({"count": count, "limit": limit}) == share


def test_days_without_a_known_limit_are_blank_and_hits_are_listed():
    assert quotas.used_share(None) is None
    hits = [{"type": "UPSCALE", "day": date(2026, 6, one)} for one in (3, 1)]
    assert quotas.hit_lines(hits, ["INPAINTING", "UPSCALE"]) == [
        "Upscale: limit hit on 2 days, the last on 3 Jun 2026."
    ]
    assert quotas.hit_lines([], ["UPSCALE"]) == ["No limit was hit on these days."]


@given(strategies.integers(0, 10**6), strategies.sampled_from(("UTC", "Asia/Tokyo")))
def test_quotas_are_of_28_days_of_utc_up_to_the_periods_end(minutes, zone):
    now = NOW - timedelta(minutes=minutes)
    days = quotas.quota_days(Period.last_days(7, zone=zone, now=now, grain="day"))
    assert (days.last_date - days.first_date).days == quotas.DAYS
    assert days.zone == "UTC"
    assert days.last_date == (now - timedelta(microseconds=1)).date()


# ---- links to generations


def asked(monkeypatch, **parameters):
    monkeypatch.setattr(st, "query_params", parameters)
    return sought.from_address(PERIOD)


def test_a_link_narrows_the_generations_to_what_it_names(monkeypatch):
    start, end = NOW - timedelta(hours=2), NOW - timedelta(hours=1)
    link = sought.parameters(start, end, status="FAILED", model="m & <b>", user="usr_1")
    found = asked(monkeypatch, **link)
    assert found.arguments["period"].start == start
    assert found.arguments["period"].end == end
    assert {key: value for key, value in found.arguments.items() if key != "period"} == {
        "status": "FAILED",
        "model": "m & <b>",
        "user_id": "usr_1",
    }
    assert [label for label, _ in found.chips] == [
        "15 Jun 2026, 10:30 to 11:30 (UTC+2)",
        "Status: Failed",
        "Model: m & <b>",
        "User: usr_1",
    ]
    assert not found.wrong


def test_without_parameters_the_pages_period_holds(monkeypatch):
    found = asked(monkeypatch)
    assert found.arguments == {"period": PERIOD}
    assert not found.chips


def test_one_generation_is_found_whenever_it_was_made(monkeypatch):
    found = asked(monkeypatch, generation="gen_1")
    assert found.arguments["generation_id"] == "gen_1"
    assert found.arguments["period"].start.year < 2001
    assert found.arguments["period"].until == NOW


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"gfrom": "yesterday"}, "is not a time"),
        ({"gfrom": "2026-06-01T00:00:00"}, "has no offset"),
        ({"gto": "0001-01-01T00:00:00Z"}, "out of range"),
        ({"gto": "9999-12-31T23:59:59-23:59"}, "out of range"),
        ({"gfrom": "2026-06-02T00:00:00Z", "gto": "2026-06-01T00:00:00Z"}, "ends before it starts"),
        ({"gfrom": "2001-01-01T00:00:00Z"}, "more than 2,000 buckets"),
    ],
)
def test_bad_times_of_a_link_are_said_and_left_out(monkeypatch, parameters, said):
    found = asked(monkeypatch, **parameters)
    assert said in found.wrong
    assert found.arguments["period"] == PERIOD


@given(strategies.text(max_size=300), strategies.text(max_size=300))
def test_any_text_in_a_link_is_read_without_an_error(first, status):
    with pytest.MonkeyPatch.context() as patch:
        found = asked(patch, gfrom=first, status=status)
    assert found.period.start <= found.period.end
    assert len(found.only) == bool(status)


# ---- cards


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\x89PNG\r\n\x1a\n....", "png"),
        (b"\xff\xd8\xff\xe0........", "jpeg"),
        (b"GIF89a......", "gif"),
        (b"RIFF....WEBP", "webp"),
        (b"<svg xmlns=h", None),
        (b"<script>aler", None),
        (b"RIFF....AVI ", None),
        (b"", None),
        (None, None),
    ],
)
def test_only_files_of_pixels_are_handed_to_the_browser(head, kind):
    assert cards.kind_of(head) == kind


def test_a_card_describes_its_generation():
    row = {
        "created_at": NOW,
        "user": None,
        "user_id": "usr_1",
        "credits": 1,
        "duration_ms": None,
        "model": "m",
        "images": 2,
    }
    assert cards.described(row, "Europe/Berlin") == "15 Jun 2026, 12:30 · usr_1 · 1 credit · m · 2 images"


# ---- figures


def test_a_heatmap_leaves_unknown_cells_blank_and_marks_the_others():
    values = [[0.0, None, 1.0], [0.5, 0.2, None]]
    hovers = [["a", "", "c"], ["d", "e", ""]]
    figure = heatmap(["<b>x</b>", "y"], ["1", "2", "3"], values, hovers, highest=1.0, marks={(0, 2), (1, 0)})
    cells = figure.data[0]
    assert [list(row) for row in cells.z] == values
    assert cells.hoverongaps is False
    assert (cells.zmin, cells.zmax) == (0, 1.0)
    assert figure.layout.yaxis.ticktext[0] == "&lt;b&gt;x&lt;/b&gt;"
    assert figure.layout.yaxis.range[0] > figure.layout.yaxis.range[1], "the first row is on top"
    marked = {(y, x) for trace in figure.data[1:] for x, y in zip(trace.x, trace.y, strict=True)}
    assert marked == {(0, 2), (1, 0)}


@pytest.mark.parametrize("rows", [0, 1])
def test_a_heatmap_of_nothing_is_a_figure(rows):
    assert heatmap(["x"] * rows, [], [[]] * rows, [[]] * rows).data[0].zmax == 1


def burned(period: Period, amounts: list[int]) -> pd.DataFrame:
    starts = [one.local_start.astimezone(UTC) for one in period.buckets()]
    return pd.DataFrame({"bucket_start": starts, "net_burn_credits": [*amounts, *[0] * len(starts)][: len(starts)]})


def test_burn_is_added_up_to_today_against_a_line_to_the_renewal():
    span = credits.of_subscription(ROW, PERIOD).period
    days = len(span.buckets())
    figure = burn_against_expected(burned(span, [10] * days), span, even(1_000.0, span))
    expected, complete, so_far = figure.data
    assert expected.y[-1] == pytest.approx(1_000)
    assert list(expected.y) == sorted(expected.y)
    assert [one for one in complete.y if one is not None] == [10.0 * number for number in range(1, days)]
    assert so_far.y[-1] == 10.0 * days
    assert so_far.customdata[-1] == f"{10 * days} credits"
    assert len(expected.x) == len(set(expected.x)) > days


def test_without_a_subscription_the_days_before_are_the_measure():
    before = PERIOD.previous()
    expected = as_before(burned(before, [5] * 99), before, PERIOD)
    assert [one for one in expected.values if one is not None] == [5.0 * number for number in range(1, 11)]
    assert expected.label == "Previous 10 days"


def test_latency_has_gaps_where_too_few_rows_say_nothing():
    buckets = PERIOD.buckets()
    frame = pd.DataFrame({"bucket_start": [one.start for one in buckets], "latency_rows": [30] * len(buckets)})
    frame["p50_ms"] = [1_000.0] * len(buckets)
    frame["p95_ms"] = [None, 2_000.0, None] + [3_000.0] * (len(buckets) - 3)
    frame["p99_ms"] = [None] * len(buckets)
    p99, p95, p50 = latency_lines(frame, PERIOD).data
    assert set(p50.y) == {1.0}
    assert p95.y[:4] == (None, 2.0, None, 3.0)
    assert p95.marker.size[1] > 0, "a lonely value is a dot"
    assert p50.marker.symbol[-1] == "circle-open", "the day in progress"
    assert set(p99.y) == {None}


@given(
    strategies.lists(strategies.lists(strategies.integers(0, 10**6), min_size=3, max_size=3), min_size=1, max_size=3)
)
def test_figures_beside_each_other_have_one_scale(counts):
    period = Period.last_days(2, zone="UTC", now=NOW, grain="day")
    figures = []
    for one in counts:
        frame = burned(period, one).rename(columns={"net_burn_credits": "generations"})
        figures.append(usage_bars(frame.assign(series="All", series_id=None), period, split="none"))
    on_one_scale(figures)
    ranges = {tuple(one.layout.yaxis.range) for one in figures}
    assert len(ranges) == 1
    ((low, high),) = ranges
    assert low == 0
    assert high >= max(max(one) for one in counts)


@pytest.mark.parametrize(("is_dark", "background"), [(False, "#FFFFFF"), (True, "#14181D")])
@given(share=strategies.floats(0, 1))
def test_what_is_written_in_a_heatmap_can_be_read(share: float, is_dark: bool, background: str) -> None:
    figure = heatmap(["row"], ["column"], [[share]], [[""]], texts=[["50"]], highest=1.0, is_dark=is_dark)
    faintest, strongest = (float(one.split(",")[3].rstrip(")")) for _, one in figure.data[0].colorscale)
    strength = faintest + (strongest - faintest) * share
    cell = [strength * over + (1 - strength) * under for over, under in zip(rgb(HUES[0]), rgb(background), strict=True)]
    lighter, darker = sorted((luminance(cell), luminance(rgb(figure.data[1].textfont.color))), reverse=True)
    assert (lighter + 0.05) / (darker + 0.05) >= 4.5


def rgb(colour: str) -> list[float]:
    return [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]


def luminance(colour: list[float]) -> float:
    red, green, blue = (one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
