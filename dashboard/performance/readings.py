"""What the page reads: the log by question, over time and by hour, its slow ones and runs, and the server's counts."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from dashboard.board import Board
from dashboard.listing import page_number
from dashboard.performance.choices import OURS, PAGER, SLOW_PAGER, Chosen
from dashboard.services import current
from dashboard.tables.cells import PAGE_ROWS
from dashboard.tables.performance import HIDDEN
from queries.performance import baselines, log_reading, run_reading, server_statements
from queries.performance.monitor import utc_now
from queries.performance.recorded import Reading, read
from queries.query import Result, read_elsewhere

SLOWER_SHOWN = 5
_PARAMETERS = ("parameters", "slowest_parameters")
Readings = dict[str, Callable[[], Result]]


def readings(board: Board, chosen: Chosen) -> Readings:
    """As many whatever the log holds: seven, one more with a baseline, one more with the application's statements."""
    monitor, window = current().monitor, chosen.window
    questions = log_reading.figures_by_query(
        window,
        monitor,
        sort=chosen.sort,
        release=chosen.release,
        offset=(page_number(PAGER) - 1) * PAGE_ROWS if chosen.whose == OURS else 0,
        limit=PAGE_ROWS,
    )
    slow = log_reading.slow_list(window, monitor, offset=(page_number(SLOW_PAGER) - 1) * PAGE_ROWS, limit=PAGE_ROWS)
    found: Readings = {
        "over time": _reading(board, log_reading.figures_over_time(window, monitor)),
        "questions": _reading(board, questions),
        "hours": _reading(board, log_reading.load_by_hour(window, monitor, zone=chosen.zone)),
        "repeats": _reading(board, run_reading.repeated(window, monitor)),
        "slow": _reading(board, slow),
        "runs": _reading(board, run_reading.runs(window, monitor)),
        "run": lambda: _one_run(board, chosen),
    }
    if chosen.release is not None:
        slower = log_reading.figures_by_query(
            window, monitor, sort="regressions", release=chosen.release, limit=SLOWER_SHOWN
        )
        found["slower"] = _reading(board, slower)
    if chosen.whose != OURS:
        found["theirs"] = partial(_theirs, chosen)
    return found


def releases() -> Result:
    """The saved baselines."""
    return read(current().database, baselines.releases())


def may_see_parameters(board: Board) -> bool:
    """Whether this viewer reads the values that a question was asked with: whoever has to explain a slow one."""
    return "engineer" in board.viewer.roles and board.viewer.scope.is_all


def first_shown(runs: Result) -> str | None:
    """The newest run that read from the database: one that the cache answered has nothing to look at. Else the
    newest."""
    ran = runs.frame[runs.frame["misses"] > 0]
    newest = ran if len(ran) else runs.frame
    return str(newest["run_id"].iloc[0]) if len(newest) else None


def _reading(board: Board, reading: Reading) -> Callable[[], Result]:
    return lambda: _private(board, read(current().database, reading))


def _private(board: Board, result: Result) -> Result:
    """Without the values of parameters for whoever may not read them: the file of a panel has what the panel has."""
    hidden = [name for name in _PARAMETERS if name in result.frame.columns]
    if may_see_parameters(board) or not hidden:
        return result
    return replace(result, frame=result.frame.assign(**dict.fromkeys(hidden, HIDDEN)))


def _one_run(board: Board, chosen: Chosen) -> Result:
    """The executions of the chosen run, or of the one that is shown first."""
    run_id = chosen.run_id or first_shown(board.answer("runs")) or ""
    return read(current().database, run_reading.run_executions(chosen.window, current().monitor, run_id))


def _theirs(chosen: Chosen) -> Result:
    """The application's statements as the server counts them, in the shape of an answer."""
    started = time.perf_counter()
    frame = server_statements.top(current().database, chosen.server_sort, PAGE_ROWS, whose="theirs")
    return read_elsewhere(
        "pg_stat_statements",
        frame,
        as_of=utc_now(),
        spent_ms=(time.perf_counter() - started) * 1000,
        told="TABLE pg_stat_statements",
        asked={"by": chosen.server_sort, "limit": PAGE_ROWS},
    )
