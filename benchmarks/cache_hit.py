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
from functools import partial

import pandas as pd

from benchmarks import ground
from benchmarks.measuring import Times, measured, measured_in_turn
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
TURNS, HITS_EACH = 20, 150
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
            kept = [_kept(held, rows, ids) for rows, ids in itertools.product(ROWS, SCOPE_IDS)]
            hits = _hits(held, kept)
            found = [_measured(held, one, *times) for one, times in zip(kept, hits, strict=True)]
    print_table(
        "Milliseconds of a cache hit, median / p95; others: median (times ours, function + run)",
        ("rows", "ids", "run", "function + run", "cache_data: str", "object", "Arrow", "raw SQL"),
        [tuple(one.line()) for one in found],
    )
    return concluded(_bounds(found))


def _bounds(found: list[Measured]) -> Iterator[Bound]:
    for one in found:
        of = f"{one.rows:,} rows, scope of {one.ids}"
        yield Bound(f"run, {of}", one.run.median_ms, HIT_MOST_MS)
        yield Bound(f"function + run, {of}", one.page.median_ms, HIT_MOST_MS)
    medians = [one.page.median_ms for one in found]
    yield Bound("flat: dearest of these over cheapest", max(medians) / min(medians), FLAT_MOST, "times")
    nearest = max(one.page.median_ms / one.str_frame.median_ms for one in found)
    yield Bound("ours over st.cache_data of the same frame, where it comes nearest", nearest, 1.0, "times")


@dataclass(frozen=True, slots=True)
class Kept:
    """A question whose answer the process cache holds."""

    rows: int
    scope: Scope
    query: Query
    context: Context


def _kept(held: Services, rows: int, ids: int) -> Kept:
    scope = ground.scope_of(ids)
    one = Kept(rows, scope, asked(scope, rows), Context(scope, page="benchmark", run_id="benchmark"))
    answer = held.runner.run(one.query, one.context)
    assert answer.rows == rows, f"{answer.rows} rows instead of {rows}"
    assert held.runner.run(one.query, one.context).outcome == "hit"
    return one


def _hits(held: Services, kept: list[Kept]) -> list[tuple[Times, Times]]:
    """For each, `run` alone, and the whole way from the period on."""

    def run(one: Kept) -> pd.DataFrame:
        return held.runner.run(one.query, one.context).frame

    def page(one: Kept) -> pd.DataFrame:
        return held.runner.run(asked(one.scope, one.rows), one.context).frame

    actions = [partial(way, one) for one in kept for way in (run, page)]
    times = measured_in_turn(actions, turns=TURNS, each=HITS_EACH)
    return list(zip(times[::2], times[1::2], strict=True))


def _measured(held: Services, one: Kept, run: Times, page: Times) -> Measured:
    ours = held.runner.run(one.query, one.context).frame
    raw_frame = _read_sql(held, one.query)
    assert len(raw_frame) == one.rows
    return Measured(
        rows=one.rows,
        ids=len(one.scope.ordered_ids),
        run=run,
        page=page,
        str_frame=_cache_data(raw_frame, one.scope, one.rows),
        object_frame=_cache_data(_with_objects(raw_frame), one.scope, one.rows),
        arrow_frame=_cache_data(ours, one.scope, one.rows),
        raw_sql=measured(lambda: _read_sql(held, one.query), within_s=OTHERS_WITHIN_S, most=OTHERS),
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
