"""Headers that others build on, orders that there cannot be, and names that tell two files apart."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from queries.errors import ArgumentError
from queries.exports.reports import REPORTS, Order
from queries.scope import Scope
from queries.tables import default_tables
from tests.queries.exports.conftest import ALL, NOW, order_of

# A change here is a new schema version, and breaks whoever reads the files.
HEADERS = {
    ("credit-statement", 1): "tenant_id tenant month zone opening purchased granted refunded adjusted burned expired"
    " closing unexplained status",
    ("usage-lines", 1): "tenant_id tenant date zone type model generations images credits",
    ("ledger", 1): "movement_id posted_at_utc date zone tenant_id tenant type amount user_id generation_id price_paid"
    " currency",
    ("generations", 1): "generation_id created_at_utc date zone tenant_id tenant user_id type model status credits"
    " duration_ms completed_at_utc error prompt",
    ("tenants", 1): "tenant_id tenant plan flags runway runway_p10_days runway_p50_days runway_p90_days credits_left"
    " credits_per_period net_burn_28d_credits net_burn_7d_credits net_burn_previous_7d_credits generations_28d"
    " succeeded_28d failed_28d active_users_28d active_users_7d limit_hit_days_28d last_seen_at_utc renews_at_utc date"
    " zone",
    ("query-log", 1): "at_utc date zone query fingerprint parameters_hash page run_id role outcome wait_ms database_ms"
    " fetch_ms frame_ms cache_ms rows slow error reference asked_by plan_hash",
    ("audit", 1): "at_utc date zone who role action subject",
}
JUNE = {"first": date(2026, 6, 1), "last": date(2026, 6, 30)}


def test_columns_keep_their_names_and_order() -> None:
    assert {(one.name, one.schema_version): " ".join(one.header) for one in REPORTS.values()} == HEADERS


@pytest.mark.parametrize("name", [name for name, one in REPORTS.items() if one.select is not None])
def test_statements_have_the_columns_of_their_report(name: str) -> None:
    report = REPORTS[name]
    scope = Scope.of(["a", "b"]) if report.has_tenants else ALL
    order = order_of(name, date(2026, 6, 1), date(2026, 6, 30), scope=scope)
    assert report.select is not None
    statement = report.select(default_tables(), scope, order)
    assert tuple(one.name for one in statement.selected_columns) == report.header


@pytest.mark.parametrize("name", REPORTS)
def test_every_exact_number_is_summed(name: str) -> None:
    # Days of a forecast are no amount of anything.
    unsummed = [one.name for one in REPORTS[name].columns if one.kind in ("integer", "number") and not one.summed]
    assert unsummed == [one for one in REPORTS[name].header if one.startswith("runway_")]
    assert all(one.kind in ("integer", "number") for one in REPORTS[name].summed)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"report": "everything"}, "'everything' is not known; choose one of credit-statement"),
        ({"format": "xls"}, "'xls' is not known; choose one of csv"),
        ({"dialect": "mac"}, "'mac' is not known; choose one of excel"),
        ({"zone": "Europe/Atlantis"}, "time zone is not known"),
        ({"zone": "../etc/passwd"}, "time zone is not known"),
        ({"first": None}, "needs a first and a last day"),
        ({"first": date(2026, 7, 1), "last": date(2026, 6, 30)}, "after to"),
        ({"first": date(1999, 12, 31)}, "out of range"),
        ({"first": date(2026, 7, 1), "last": date(2026, 7, 31)}, "after today .2026-06-15 in UTC."),
        ({"report": "credit-statement", "first": date(2026, 6, 2)}, "choose whole months"),
        ({"report": "credit-statement", "last": date(2026, 6, 29)}, "choose whole months"),
        ({"report": "tenants"}, "has no period"),
        ({"report": "query-log", "scope": Scope.of(["a"])}, "not by tenant"),
        ({"now": NOW.replace(tzinfo=None)}, "not a UTC time"),
    ],
)
def test_an_order_that_there_cannot_be_is_refused_with_a_fact_and_a_fix(given: dict[str, Any], said: str) -> None:
    plain: dict[str, Any] = {"report": "ledger", "scope": ALL, "zone": "UTC", "now": NOW, **JUNE}
    with pytest.raises(ArgumentError, match=said) as found:
        Order(**{**plain, **given})
    assert "; " in str(found.value)
    assert str(found.value)[0].islower()


def test_today_is_that_of_the_zone() -> None:
    at = datetime(2026, 6, 15, 10, 30, tzinfo=UTC)
    tomorrow = {"first": date(2026, 6, 16), "last": date(2026, 6, 16)}
    assert Order("ledger", scope=ALL, zone="Pacific/Kiritimati", now=at, **tomorrow).first == date(2026, 6, 16)
    with pytest.raises(ArgumentError):
        Order("ledger", scope=ALL, zone="Pacific/Honolulu", now=at, **tomorrow)


def test_months() -> None:
    order = Order.of_month("credit-statement", date(2026, 2, 17), scope=ALL, zone="UTC", now=NOW)
    assert (order.first, order.last, order.month) == (date(2026, 2, 1), date(2026, 2, 28), date(2026, 2, 1))
    wide = order_of("credit-statement", date(2025, 11, 1), date(2026, 2, 28))
    assert wide.months == (date(2025, 11, 1), date(2025, 12, 1), date(2026, 1, 1), date(2026, 2, 1))
    assert wide.month is None
    assert order_of("ledger", date(2026, 2, 1), date(2026, 2, 27)).month is None


def test_orders_that_differ_have_files_of_other_names() -> None:
    base: dict[str, Any] = {"report": "generations", "scope": ALL, "zone": "UTC", "now": NOW, **JUNE}
    others: list[dict[str, Any]] = [
        {},
        {"report": "ledger"},
        {"zone": "Europe/Berlin"},
        {"zone": "Etc/GMT+5"},
        {"zone": "Etc/GMT-5"},
        {"first": date(2026, 5, 1)},
        {"last": date(2026, 6, 29)},
        {"scope": Scope.of(["a"])},
        {"scope": Scope.of(["b"])},
        {"scope": Scope.of(["../../etc/passwd"])},
        {"format": "csv.gz"},
        {"format": "parquet"},
        {"format": "xlsx"},
        {"dialect": "plain"},
        {"guarded": False},
        {"with_prompts": True},
    ]
    names = [Order(**{**base, **one}).file_name for one in others]
    assert len(set(names)) == len(names)
    assert names[0] == "generations-2026-06-utc.csv"
    assert all(set(one) <= set("abcdefghijklmnopqrstuvwxyz0123456789-.") for one in names)


def test_parquet_is_never_guarded() -> None:
    assert order_of("ledger", date(2026, 6, 1), date(2026, 6, 30), format="xlsx").guards
    assert not order_of("ledger", date(2026, 6, 1), date(2026, 6, 30), format="parquet").guards
    assert not order_of("ledger", date(2026, 6, 1), date(2026, 6, 30), guarded=False).guards
