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

import pandas as pd

from benchmarks import ground
from benchmarks.measuring import Times, measured
from benchmarks.questions import MOST_ROWS, asked
from benchmarks.report import Bound, concluded, print_table, shown
from dashboard.services import Services
from queries.period import Period
from queries.query import Query
from queries.runner import Context
from queries.scope import Scope

ROWS = (1_000, 50_000, MOST_ROWS)
SCOPE_IDS = (1, 500)
HIT_MOST_MS = 0.05
# "Flat": the dearest of the six against the cheapest one.
FLAT_MOST = 1.5
HITS, HITS_WITHIN_S = 5_000, 3.0
OTHERS, OTHERS_WITHIN_S = 500, 2.0


@dataclass(frozen=True, slots=True)
class Measured:
    """One number of rows and one scope. `run` is the runner alone, `page` with Period and catalog function; the three
    of `st.cache_data` return the frame of raw SQL as it is, with its texts as objects, and ours."""

    rows: int
    ids: int
    run: Times
    page: Times
    str_frame: Times
    object_frame: Times
    arrow_frame: Times
    raw_sql: Times

    def line(self) -> Iterator[str]:
        yield f"{self.rows:,}"
        yield f"{self.ids}"
        for times in (self.run, self.page):
            yield f"{times.median_ms:.3f} / {times.p95_ms:.3f}"
        for times in (self.str_frame, self.object_frame, self.arrow_frame, self.raw_sql):
            yield f"{shown(times.median_ms)} ({shown(times.median_ms / self.page.median_ms)}x)"


def main() -> int:
    with ground.filled_server(MOST_ROWS) as server:
        settings = ground.settings_for(
            server, cache_bytes=2**30, cache_ttl_s=3600.0, statement_timeout_s=120.0, slow_query_ms=600_000.0
        )
        with ground.open_services(settings) as held:
            found = [_measured(held, rows, ids) for rows, ids in itertools.product(ROWS, SCOPE_IDS)]
    print_table(
        "Milliseconds of a cache hit, median / p95; others: median (times ours, function + run)",
        ("rows", "ids", "run", "function + run", "cache_data: str", "object", "Arrow", "raw SQL"),
        [tuple(one.line()) for one in found],
    )
    return concluded(_bounds(found))


def _bounds(found: list[Measured]) -> Iterator[Bound]:
    for one in found:
        yield Bound(f"function + run, {one.rows:,} rows, scope of {one.ids}", one.page.median_ms, HIT_MOST_MS)
    medians = [one.page.median_ms for one in found]
    yield Bound("flat: dearest of these over cheapest", max(medians) / min(medians), FLAT_MOST, "times")
    nearest = max(one.page.median_ms / one.str_frame.median_ms for one in found)
    yield Bound("ours over st.cache_data of the same frame, where it comes nearest", nearest, 1.0, "times")


def _measured(held: Services, rows: int, ids: int) -> Measured:
    scope = ground.scope_of(ids)
    context = Context(scope, page="benchmark", run_id="benchmark")
    query = asked(scope, rows)
    held.cache.clear()
    answer = held.runner.run(query, context)
    assert answer.rows == rows, f"{answer.rows} rows instead of {rows}"
    assert held.runner.run(query, context).outcome == "hit"
    run = measured(lambda: held.runner.run(query, context).frame, within_s=HITS_WITHIN_S, most=HITS)
    page = measured(lambda: held.runner.run(asked(scope, rows), context).frame, within_s=HITS_WITHIN_S, most=HITS)
    raw_frame = _read_sql(held, query)
    assert len(raw_frame) == rows
    return Measured(
        rows=rows,
        ids=ids,
        run=run,
        page=page,
        str_frame=_cache_data(raw_frame, scope, rows),
        object_frame=_cache_data(_with_objects(raw_frame), scope, rows),
        arrow_frame=_cache_data(answer.frame, scope, rows),
        raw_sql=measured(lambda: _read_sql(held, query), within_s=OTHERS_WITHIN_S, most=OTHERS),
    )


def _read_sql(held: Services, query: Query) -> pd.DataFrame:
    """The same statement on a connection of the same pool, as pandas reads it."""
    with held.database.reading(query.scope, held.settings.statement_timeout_s) as connection:
        return pd.read_sql(query.statement(held.database.tables()), connection)


def _with_objects(frame: pd.DataFrame) -> pd.DataFrame:
    texts = [name for name, dtype in frame.dtypes.items() if isinstance(dtype, pd.StringDtype)]
    return frame.astype(dict.fromkeys(texts, object))


def _cache_data(frame: pd.DataFrame, scope: Scope, rows: int) -> Times:
    """Streamlit's cache around a function of tenants' ids, period and limit, as one would write it."""
    cached = _cached_by_streamlit(frame)

    def hit() -> pd.DataFrame:
        period = Period.last_days(60, zone="Europe/Berlin", now=ground.NOW)
        return cached(scope.ordered_ids, period.key(), rows)

    return measured(hit, within_s=OTHERS_WITHIN_S, most=OTHERS)


def _cached_by_streamlit(frame: pd.DataFrame) -> Callable[[tuple[str, ...], tuple[str, ...], int], pd.DataFrame]:
    import streamlit as st

    # Outside of a page it warns at each call that there is none.
    for name in [one for one in logging.root.manager.loggerDict if one.startswith("streamlit")]:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    st.cache_data.clear()

    @st.cache_data(show_spinner=False)
    def cached(ids: tuple[str, ...], period: tuple[str, ...], limit: int) -> pd.DataFrame:  # noqa: ARG001 - its key
        return frame

    return cached


if __name__ == "__main__":
    sys.exit(main())
