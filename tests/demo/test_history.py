"""The made-up history: the same bytes for the same arguments, true ledgers, and the shapes people will look for."""

import struct
import zlib
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demo import calibration
from demo.errors import InvalidRequest
from demo.history import History, generate, small
from demo.people import members, users
from demo.pictures import png
from demo.tenants import (
    FAILING_MODEL,
    NEGATIVE_CREDITS,
    PERSONAS,
    UNRECONCILED_CREDITS,
    UNRECONCILED_SLUG,
    Persona,
)

END = datetime(2026, 6, 15, 10, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def history() -> History:
    return generate(3, END, days=120, generations=60_000)


@pytest.fixture(scope="module")
def generations(history: History) -> pd.DataFrame:
    frame = history.tables["Generation"].to_pandas()
    slugs = {persona.organization_id: persona.slug for persona in PERSONAS}
    age = pd.Timestamp(END.replace(tzinfo=None)) - frame["createdAt"]
    return frame.assign(slug=frame["organizationId"].map(slugs), age_days=age / pd.Timedelta(days=1))


def of_story(story: str) -> list[Persona]:
    found = [persona for persona in PERSONAS if persona.story == story]
    assert found
    return found


def bytes_of(history: History) -> dict[str, bytes]:
    def serialized(table: pa.Table) -> bytes:
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        return bytes(sink.getvalue())

    return {name: serialized(table) for name, table in history.tables.items()}


@settings(max_examples=3)
@given(seed=st.integers(0, 2**32), minutes=st.integers(0, 400 * 24 * 60))
def test_the_same_seed_and_end_give_the_same_bytes(seed: int, minutes: int) -> None:
    end = END + timedelta(minutes=minutes)
    first, second = (generate(seed, end, days=45, generations=1500) for _ in range(2))
    assert bytes_of(first) == bytes_of(second)
    assert bytes_of(first)["Generation"] != bytes_of(generate(seed + 1, end, days=45, generations=1500))["Generation"]


@settings(max_examples=12)
@given(seed=st.integers(0, 2**32), minutes=st.integers(0, 400 * 24 * 60), days=st.integers(45, 100))
def test_every_ledger_explains_its_balance_and_never_dips(seed: int, minutes: int, days: int) -> None:
    made = generate(seed, END + timedelta(minutes=minutes), days=days, generations=2500)
    assert made.tables["Generation"].num_rows == 2500
    assert_ledgers(made)
    assert_quotas(made)


def test_the_larger_history_adds_up_too(history: History) -> None:
    assert history.tables["Generation"].num_rows == 60_000
    assert_ledgers(history)
    assert_quotas(history)


def assert_ledgers(made: History) -> None:
    ledger = made.tables["CreditTransaction"].to_pandas().sort_values(["createdAt", "id"])
    running = ledger.groupby("organizationId")["amount"].cumsum()
    slugs = ledger["organizationId"].map({persona.organization_id: persona.slug for persona in PERSONAS})
    negative = of_story("negative")[0].slug
    assert running[slugs != negative].min() >= 0
    off = (
        made.tables["CreditBalance"].to_pandas().set_index("organizationId")["balance"]
        - ledger.groupby("organizationId")["amount"].sum()
    )
    expected = {persona.organization_id: 0 for persona in PERSONAS}
    expected[next(p.organization_id for p in PERSONAS if p.slug == UNRECONCILED_SLUG)] = UNRECONCILED_CREDITS
    assert off.to_dict() == expected
    assert running[slugs == negative].iloc[-1] == NEGATIVE_CREDITS
    made_by = made.tables["Generation"].to_pandas()
    charges, refunds = (ledger[ledger["type"] == type].set_index("generationId") for type in ("CHARGE", "REFUND"))
    by_id = made_by.set_index("id")
    failed = by_id[by_id["status"] == "FAILED"]
    assert (-charges["amount"]).to_dict() == by_id["creditsUsed"].to_dict()
    assert charges["createdAt"].to_dict() == by_id["createdAt"].to_dict()
    assert refunds["amount"].to_dict() == failed["creditsUsed"].to_dict()
    assert refunds["createdAt"].to_dict() == failed["completedAt"].to_dict()
    bought = ledger[ledger["type"] == "PURCHASE"]
    assert bought["pricePaid"].notna().all()
    assert set(bought["currency"]) <= {"EUR", "USD"}


def assert_quotas(made: History) -> None:
    frame = made.tables["Generation"].to_pandas()
    counted = frame.groupby(["organizationId", "type", frame["createdAt"].dt.date]).size()
    limits = made.tables["UsageLimit"].to_pandas().set_index(["organizationId", "type", "date"])
    assert limits["count"].to_dict() == counted.to_dict()
    assert (limits["count"] <= limits["limit"]).all()


def test_every_kind_of_movement_occurs(history: History) -> None:
    types = history.tables["CreditTransaction"]["type"].to_pandas().value_counts()
    assert set(types.index) == {"GRANT", "PURCHASE", "CHARGE", "REFUND", "ADJUSTMENT", "EXPIRY"}
    currencies = history.tables["CreditTransaction"]["currency"].to_pandas().dropna()
    assert set(currencies) == {"EUR", "USD"}


def test_ids_are_unique_and_sort_by_time(history: History) -> None:
    for name, table in history.tables.items():
        ids = table["id"].to_pandas()
        assert ids.is_unique, name
    for name in ("Generation", "CreditTransaction", "Image"):
        assert history.tables[name]["id"].to_pandas().is_monotonic_increasing
        assert history.tables[name]["createdAt"].to_pandas().is_monotonic_increasing


def test_people_belong_to_who_pays(history: History) -> None:
    frame = history.tables["Generation"].to_pandas()
    allowed = {(p.id, PERSONAS[i].organization_id) for i, people in enumerate(members()) for p in people}
    assert set(zip(frame["userId"], frame["organizationId"], strict=True)) <= allowed
    assert len(PERSONAS) >= 60
    assert max(persona.people for persona in PERSONAS) == 40
    assert len(allowed) > len(users())


def test_names_are_as_hostile_as_promised() -> None:
    names = [persona.name for persona in PERSONAS]
    assert {"=SUM(A1:A9)", "<script>alert(1)</script>"} <= set(names)
    assert max(map(len, names)) == 200
    for first, last in (("\u0590", "\u05ff"), ("\u0600", "\u06ff"), ("\U0001f300", "\U0001faff")):
        assert any(first <= letter <= last for name in names for letter in name)


def test_latency_and_success_follow_the_calibration(generations: pd.DataFrame) -> None:
    usual = generations[~generations["slug"].isin([p.slug for p in of_story("slow")])]
    done = usual.loc[usual["status"] == "SUCCEEDED", "durationMs"]
    for share, seconds in ((0.5, 23), (0.95, 70), (0.99, 106)):
        assert done.quantile(share) / 1000 == pytest.approx(seconds, rel=0.12)
    early = generations[generations["age_days"] > 25]
    terminal = early["status"].isin(["SUCCEEDED", "FAILED"])
    assert (early["status"] == "SUCCEEDED").sum() / terminal.sum() == pytest.approx(calibration.SUCCESS_RATE, abs=0.006)


def test_nights_and_weekends_are_quiet_where_people_live(generations: pd.DataFrame) -> None:
    for slug, zone, rest in (
        ("northlight-atelier", "Europe/Berlin", (5, 6)),
        ("harbour-and-vine", "America/New_York", (5, 6)),
        ("himal-prints", "Asia/Kathmandu", (5, 6)),
        ("al-waha", "Asia/Riyadh", (4, 5)),
    ):
        local = generations.loc[generations["slug"] == slug, "createdAt"].dt.tz_localize("UTC").dt.tz_convert(zone)
        assert (local.dt.hour.isin([2, 3, 4])).mean() < 0.02, slug
        assert (local.dt.hour.isin([13, 14, 15, 16])).mean() > 0.35, slug
        by_day = local.dt.day_of_week.value_counts()
        working = [day for day in range(7) if day not in rest]
        assert by_day.reindex(rest, fill_value=0).mean() < 0.6 * by_day[working].mean(), slug


def weekly(generations: pd.DataFrame, slug: str) -> "pd.Series[int]":
    """Generations per week before the end, week 0 being the last."""
    mine = generations[generations["slug"] == slug]
    return mine.groupby((mine["age_days"] // 7).astype(int)).size().reindex(range(17), fill_value=0)


def test_stories_show(generations: pd.DataFrame) -> None:
    decline, growth = weekly(generations, "lumiere-du-nord"), weekly(generations, "kumo-illustrations")
    assert decline[0] < 0.15 * decline[9:].mean()
    assert growth[:3].mean() > 3 * growth[12:15].mean()
    ages = generations.groupby("slug")["age_days"].min()
    for story, since in (("stop", 19), ("negative", 5), ("dry", 2)):
        assert all(ages[persona.slug] >= since - 0.1 for persona in of_story(story))
    assert all(persona.slug not in ages.index for persona in of_story("empty"))
    oldest = generations.groupby("slug")["age_days"].max()
    assert all(oldest[persona.slug] <= 41 for persona in of_story("new"))
    daily = generations[generations["slug"] == "pampas-creativa"].groupby(generations["createdAt"].dt.date).size()
    assert daily.max() > 6 * daily.median()


def test_one_model_starts_failing(generations: pd.DataFrame) -> None:
    ended = generations[generations["status"].isin(["SUCCEEDED", "FAILED"])]
    failed = (ended["status"] == "FAILED").groupby([ended["model"] == FAILING_MODEL, ended["age_days"] < 7]).mean()
    assert failed[True, True] > 0.25
    assert max(failed[True, False], failed[False, True], failed[False, False]) < 0.06


def test_some_wait_long_and_some_hit_their_limit(history: History, generations: pd.DataFrame) -> None:
    slow = generations[generations["slug"].isin([p.slug for p in of_story("slow")])]
    done = slow[slow["status"] == "SUCCEEDED"]
    lately = done["age_days"] < 30
    assert done.loc[lately, "durationMs"].quantile(0.95) > 2 * done.loc[~lately, "durationMs"].quantile(0.95)
    limits = history.tables["UsageLimit"].to_pandas()
    hit = limits[limits["count"] >= limits["limit"]]
    newest = hit[pd.to_datetime(hit["date"]) > pd.Timestamp(END.replace(tzinfo=None)) - pd.Timedelta(days=28)]
    assert {p.organization_id for p in of_story("near_limit")} <= set(newest["organizationId"])


def test_the_last_minutes_are_in_flight_and_a_handful_is_stuck(generations: pd.DataFrame) -> None:
    unfinished = generations[generations["status"].isin(["PENDING", "PROCESSING"])]
    stuck = unfinished[unfinished["age_days"] > 15 / 1440]
    assert 2 <= len(stuck) <= 6
    assert set(stuck["slug"]) <= {p.slug for p in of_story("stuck")}
    assert len(unfinished) > len(stuck)
    assert unfinished[["completedAt", "durationMs"]].isna().all(axis=None)
    finished = generations.drop(unfinished.index)
    assert (
        ((finished["completedAt"] - finished["createdAt"]) / pd.Timedelta(milliseconds=1))
        .eq(finished["durationMs"])
        .all()
    )
    assert finished["completedAt"].max() < pd.Timestamp(END.replace(tzinfo=None))


def test_renewals_spread_over_the_coming_month(history: History) -> None:
    ends = history.tables["Subscription"].to_pandas()["currentPeriodEnd"]
    ahead = (ends - pd.Timestamp(END.replace(tzinfo=None))) / pd.Timedelta(days=1)
    assert ahead.min() > 0
    assert ahead.max() < 32
    assert ahead.round().nunique() > 20


def test_pictures_are_valid_and_the_latest_lie_in_the_database(history: History) -> None:
    images = history.tables["Image"].to_pandas()
    inline = images[images["data"].notna()]
    assert len(inline) == 200
    assert inline["url"].isna().all()
    assert images.drop(inline.index)["url"].str.startswith("https://images.demo.invalid/").all()
    assert (inline["data"].map(len) == inline["sizeBytes"]).all()
    assert inline["createdAt"].min() >= images.drop(inline.index)["createdAt"].max()
    assert len(set(inline["data"])) > 100
    for data in inline["data"]:
        assert_png(data, inline["width"].iloc[0], inline["height"].iloc[0])


@given(st.integers(0, 10**6))
def test_every_number_has_a_picture(number: int) -> None:
    assert_png(png(number), 64, 64)


def assert_png(data: bytes, width: int, height: int) -> None:
    """Signature, chunk checksums and the number of pixels, read independently of how they were written."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    position, chunks = 8, {}
    while position < len(data):
        length = struct.unpack(">I", data[position : position + 4])[0]
        kind, body = data[position + 4 : position + 8], data[position + 8 : position + 8 + length]
        assert zlib.crc32(kind + body) == struct.unpack(">I", data[position + 8 + length : position + 12 + length])[0]
        chunks[kind] = body
        position += 12 + length
    assert list(chunks) == [b"IHDR", b"IDAT", b"IEND"]
    assert struct.unpack(">II", chunks[b"IHDR"][:8]) == (width, height)
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, 1 + 3 * width)
    assert not rows[:, 0].any()


def test_small_is_small() -> None:
    made = small(END)
    assert made.tables["Generation"].num_rows == 12_000
    assert made.start == END - timedelta(days=60)


def test_what_cannot_be_generated_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="time zone"):
        generate(1, datetime(2026, 6, 15))  # noqa: DTZ001
    with pytest.raises(InvalidRequest, match="use 45 days"):
        generate(1, END, days=3)
