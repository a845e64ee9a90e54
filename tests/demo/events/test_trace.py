"""A real trace loads, and SQL over what was loaded states the facts that plain Python finds in the file.

The trace may not be copied into the project: USAGE_DASHBOARD_TRACE names the file where it is.
"""

import csv
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
from streamlit.testing.v1 import AppTest

from dashboard import services
from demo.events.loading import Outcome
from queries import migrations
from queries.settings import Settings
from tests.conftest import OWNER, READER

ROOT = Path(__file__).parents[3]
BESIDE = ROOT.parent / "shared" / "data" / "gentd26_requests.csv"


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """A copy of the trace, whose folder may not be written to."""
    place = Path(os.environ.get("USAGE_DASHBOARD_TRACE", BESIDE))
    if not place.is_file():
        pytest.skip("the trace is not here; name gentd26_requests.csv in USAGE_DASHBOARD_TRACE")
    copy = tmp_path / place.name
    copy.write_bytes(place.read_bytes())
    return copy


def facts_in_the_file(path: Path) -> dict[str, Any]:
    with path.open(newline="") as file:
        raw = list(csv.DictReader(file))
    rows = [dict(row) for row in {tuple(row.items()): None for row in raw}]
    statuses = Counter(row["predict_status"] for row in rows)
    durations_s = [float(row["exec_time_seconds"]) for row in rows if row["predict_status"] == "SUCCEED"]
    return {
        "requests": len(rows),
        "succeeded": statuses["SUCCEED"],
        "failed": statuses["FAILED"],
        "latency_s": [float(value) for value in np.percentile(durations_s, [50, 95, 99, 100])],
        "tenants": len({row["groupId"] for row in rows}),
        "busiest": Counter(row["groupId"] for row in rows).most_common(1)[0],
        "images": sum(int(float(row["num_images_per_prompt"])) for row in rows if row["num_images_per_prompt"]),
    }


def facts_in_the_database(connection: psycopg.Connection[Any]) -> dict[str, Any]:
    def row(query: str) -> tuple[Any, ...]:
        found = connection.execute(query.encode()).fetchone()
        assert found is not None
        return found

    requests, succeeded, failed, tenants = row(
        """SELECT count(*), count(*) FILTER (WHERE "status" = 'SUCCEEDED'),
               count(*) FILTER (WHERE "status" = 'FAILED'), count(DISTINCT "organizationId") FROM "Generation" """
    )
    (latency_ms,) = row(
        """SELECT percentile_cont(ARRAY[0.5, 0.95, 0.99, 1]) WITHIN GROUP (ORDER BY "durationMs")
           FROM "Generation" WHERE "status" = 'SUCCEEDED'"""
    )
    busiest = row(
        """SELECT "name", count(*) FROM "Generation" JOIN "Organization" ON "Organization"."id" = "organizationId"
           GROUP BY 1 ORDER BY 2 DESC LIMIT 1"""
    )
    (images,) = row("""SELECT -sum("amount") FROM "CreditTransaction" WHERE "type" = 'CHARGE'""")
    return {
        "requests": requests,
        "succeeded": succeeded,
        "failed": failed,
        "latency_s": [value / 1000 for value in latency_ms],
        "tenants": tenants,
        "busiest": busiest,
        "images": images,
    }


def test_trace_loads_with_its_facts(
    trace: Path, load: Callable[..., Outcome], events_connection: psycopg.Connection[Any]
) -> None:
    outcome = load(trace)
    assert (outcome.read_rows, outcome.new_rows, outcome.duplicate_rows) == (26_823, 26_804, 19)
    assert (outcome.rejected_rows, outcome.unknown_credits_rows) == (0, 25)
    facts = facts_in_the_database(events_connection)
    assert facts == facts_in_the_file(trace)
    assert facts["latency_s"] == [23, 70, 106, 567]
    assert facts["tenants"] == 4_247
    assert facts["busiest"] == ("G0264", 1_207)
    # Of 26,823 raw rows 98.514 % succeeded and 72,195 images were asked for; of the distinct ones it is these.
    assert f"{facts['succeeded'] / (facts['succeeded'] + facts['failed']):.3%}" == "98.513%"
    assert facts["images"] == 72_176
    again = load(trace)
    assert (again.new_rows, again.already_there_rows, again.changed_rows) == (0, 26_804, 0)
    assert facts_in_the_database(events_connection) == facts


def test_trace_shows_its_facts_on_the_page(
    trace: Path, load: Callable[..., Outcome], empty_database_url: str, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(trace)
    name = empty_database_url.rpartition("/")[2]
    migrations.upgrade(server.url(name, OWNER))
    held = services.build(Settings(database_url=server.url(name, READER)), is_demo=True, dataset="trace")
    services.install(held)
    monkeypatch.chdir(ROOT)
    try:
        app = AppTest.from_file(str(ROOT / "dashboard" / "app.py"), default_timeout=60).run()
        assert not app.exception
        assert any("The newest is from 8 Dec 2024" in one.value for one in app.info)
        next(one for one in app.button if one.label == "Show the 28 days to 8 Dec 2024").click().run()
        assert not app.exception
        said = "\n".join(one.value for one in app.caption).replace("\\", "")
        next(one for one in app.selectbox if one.label == "Sort by").select("Generations").run()
        busiest = app.dataframe[0].value.iloc[0]
        app.switch_page("../pages/timelines.py").run()
        assert not app.exception
        figures = {one.label: one.value for one in app.metric}
    finally:
        services.install(None)
        held.close()
    assert (figures["Generations"], figures["Success rate"]) == ("26.8 k", "98.5 %")
    assert figures["Latency p95"] == "70 s"
    assert "All 4,247 listed tenants together: 26,804 generations" in said
    assert "success rate 98.5 %" in said
    assert (busiest["tenant"], busiest["generations"]) == ("G0264", 1_207)
