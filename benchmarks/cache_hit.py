"""What an answer from the process cache costs, beside `st.cache_data` and the same statement run again.

    python -m benchmarks.cache_hit

Each answer is asked for as a page does: a Period, a catalog function, `Runner.run`, with query log and counters on.
"""

from __future__ import annotations

import itertools
import logging
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd
import sqlalchemy as sa

from benchmarks import ground
from benchmarks.measuring import Times, frozen_garbage, measured
from benchmarks.report import Bound, concluded, print_table, shown
from dashboard.services import Services
from queries.period import Period
from queries.query import Query, catalog_query
from queries.runner import Context
from queries.scope import Scope
from queries.tables import Tables, facts, within

ROWS = (1_000, 50_000, 500_000)
SCOPE_IDS = (1, 500)
HIT_MOST_MS = 0.05
# "Flat": the dearest of the six against the cheapest one.
FLAT_MOST = 1.5
HITS, WITHIN_S = 5_000, 4.0
SLOW_REPEATS, SLOW_WITHIN_S = 200, 3.0


@catalog_query("benchmarks.rows", row_limit=ROWS[-1])
def rows(tables: Tables, scope: Scope, *, period: Period, limit: int) -> sa.Select[Any]:
    """Generations of a period, seven columns."""
    found = facts(tables)
    columns = [found.c[one] for one in ("id", "tenant_id", "user_id", "created_at", "status", "model", "duration_ms")]
    inside = [scope.predicate(found.c.tenant_id), within(found.c.created_at, period)]
    return sa.select(*columns).where(*inside).limit(limit)


@dataclass(frozen=True, slots=True)
class Measured:
    """One number of rows and one scope. `hit` is `run` alone, `page_hit` with Period and catalog function."""

    rows: int
    ids: int
    hit: Times
    page_hit: Times
    cache_data_str: Times
    cache_data_object: Times
    cache_data_arrow: Times
    raw: Times

    def line(self) -> Iterator[str]:
        yield f"{self.rows:,} rows, {self.ids} id{'s' if self.ids > 1 else ''}"
        for times in (self.hit, self.page_hit):
            yield f"{times.median_ms:.3f} / {times.p95_ms:.3f}"
        for times in (self.cache_data_str, self.cache_data_object, self.cache_data_arrow, self.raw):
            yield f"{shown(times.median_ms)} ({shown(times.median_ms / self.page_hit.median_ms)}x)"


def main() -> int:
    with ground.filled_server(ROWS[-1]) as server:
        settings = ground.settings_for(server, cache_bytes=2**30, cache_ttl_s=3600.0, statement_timeout_s=120.0)
        with ground.open_services(settings) as held:
            found = [_measured(held, number, ids) for number, ids in itertools.product(ROWS, SCOPE_IDS)]
    print_table(
        "A cache hit, milliseconds",
        (
            "",
            "run: median / p95",
            "function + run",
            "st.cache_data str",
            "object",
            "Arrow",
            "raw SQL",
        ),
        [list(one.line()) for one in found],
    )
    return concluded(_bounds(found))


def _bounds(found: list[Measured]) -> Iterator[Bound]:
    for one in found:
        yield Bound(f"hit, {one.rows:,} rows, scope of {one.ids}, median", one.page_hit.median_ms, HIT_MOST_MS)
    medians = [one.page_hit.median_ms for one in found]
    yield Bound("dearest hit over cheapest", max(medians) / min(medians), FLAT_MOST, "times")
    for name in ("cache_data_str", "cache_data_object", "raw"):
        ratio = max(one.page_hit.median_ms / getattr(one, name).median_ms for one in found)
        yield Bound(f"hit over {name.replace('_', ' ')}, worst", ratio, 1.0, "times")


def _measured(held: Services, number: int, ids: int) -> Measured:
    scope = ground.scope_of(ids)
    context = Context(scope, page="benchmark", run_id="benchmark")
    query = _asked(scope, number)
    held.cache.clear()
    answer = held.runner.run(query, context)
    assert answer.rows == number, f"{answer.rows} rows instead of {number}"
    assert held.runner.run(query, context).outcome == "hit"
    with frozen_garbage():
        hit = measured(lambda: held.runner.run(query, context).frame, within_s=WITHIN_S, most=HITS)
        page_hit = measured(lambda: held.runner.run(_asked(scope, number), context).frame, within_s=WITHIN_S, most=HITS)
    raw_frame = _read_sql(held, query)
    assert len(raw_frame) == number
    return Measured(
        rows=number,
        ids=ids,
        hit=hit,
        page_hit=page_hit,
        cache_data_str=_cache_data(raw_frame, scope, number),
        cache_data_object=_cache_data(_as_objects(raw_frame), scope, number),
        cache_data_arrow=_cache_data(answer.frame, scope, number),
        raw=measured(lambda: _read_sql(held, query), within_s=SLOW_WITHIN_S, most=SLOW_REPEATS),
    )


def _asked(scope: Scope, number: int) -> Query:
    return rows(scope, period=Period.last_days(60, zone="Europe/Berlin", now=ground.NOW), limit=number)


def _read_sql(held: Services, query: Query) -> pd.DataFrame:
    """The same statement on a connection of the same pool, as pandas reads it."""
    with held.database.reading(query.scope, held.settings.statement_timeout_s) as connection:
        return pd.read_sql(query.statement(held.database.tables()), connection)


def _as_objects(frame: pd.DataFrame) -> pd.DataFrame:
    texts = [name for name, dtype in frame.dtypes.items() if isinstance(dtype, pd.StringDtype)]
    return frame.astype(dict.fromkeys(texts, object))


def _cache_data(frame: pd.DataFrame, scope: Scope, number: int) -> Times:
    """Streamlit's cache, with the tenants' ids as an argument of the cached function, as one would write it."""
    cached = _streamlit_cached(frame)
    ids = scope.ordered_ids
    return measured(
        lambda: cached(ids, Period.last_days(60, zone="Europe/Berlin", now=ground.NOW).key(), number),
        within_s=SLOW_WITHIN_S,
        most=HITS,
    )


def _streamlit_cached(frame: pd.DataFrame) -> Callable[[tuple[str, ...], tuple[str, ...], int], pd.DataFrame]:
    import streamlit as st

    # Outside of `streamlit run` it warns at each call that there is no page.
    for name in [one for one in logging.root.manager.loggerDict if one.startswith("streamlit")]:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    st.cache_data.clear()

    @st.cache_data(show_spinner=False)
    def cached(ids: tuple[str, ...], period: tuple[str, ...], limit: int) -> pd.DataFrame:  # noqa: ARG001 - its key
        return frame

    return cached


if __name__ == "__main__":
    sys.exit(main())
