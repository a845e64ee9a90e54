"""What `tenants.signals` mean: for every tenant its runway, its flags, and how soon it should be called.

One vectorised forecast for all tenants of an answer, made once per answer: a rerun of a page costs a look-up.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from dashboard.insights import flags as rules
from dashboard.insights.flags import Flag, Kind
from dashboard.insights.runway import HISTORY_DAYS, HORIZON_DAYS, Runway, known_grants, runways
from queries.period import local_date
from queries.query import Result

# Tenants of the answers that are remembered, at most; the answers used longest ago go first.
_LARGEST_MEMORY = 40_000

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Outlook:
    """One tenant: its figures (`row`: a row of `tenants.signals`, None for what is missing) and what they mean."""

    tenant_id: str
    tenant: str
    runway: Runway
    flags: tuple[Flag, ...]
    priority: float
    row: Mapping[str, Any]

    def has(self, kind: Kind) -> bool:
        return any(one.kind == kind for one in self.flags)

    def is_running_out(self) -> bool:
        """Whether the credits end before the renewal or, where none is ahead, within 14 days, while they are in use."""
        return any(one.rule in rules.RUNNING_OUT for one in self.flags)


def of_result(result: Result, now: datetime, zone: str, *, is_over: bool = False) -> list[Outlook]:
    """The outlook of an answer to `tenants.signals`, made once. A moment that is over has no balance: what is posted is
    that of today, and a forecast from it would end on days that have passed."""
    key = (result.query.key, result.as_of, now, f"{zone} {is_over}")
    with _lock:
        if (found := _memory.get(key)) is not None:
            _memory.move_to_end(key)
            return found
    found = of_tenants(_without_balances(result.frame) if is_over else result.frame, now, zone)
    with _lock:
        _memory[key] = found
        while len(_memory) > 1 and sum(len(one) for one in _memory.values()) > _LARGEST_MEMORY:
            _memory.popitem(last=False)
    return found


_lock = threading.Lock()
_memory: OrderedDict[tuple[str, datetime, datetime, str], list[Outlook]] = OrderedDict()


def _without_balances(frame: pd.DataFrame) -> pd.DataFrame:
    unknown = pd.Series(pd.NA, index=frame.index, dtype=frame["credits_left"].dtype)
    return frame.assign(credits_left=unknown)


def of_tenants(frame: pd.DataFrame, now: datetime, zone: str) -> list[Outlook]:
    """The outlook of every tenant of a `tenants.signals` frame, in the frame's order."""
    if frame.empty:
        return []
    table = pa.Table.from_pandas(frame, preserve_index=False)
    rows = table.to_pylist()
    today = local_date(now, zone)
    balances = table.column("credits_left").cast(pa.float64()).to_numpy().astype(np.float64)
    history = table.column("history_days").to_numpy().astype(np.int64)
    grants = np.stack([grants_of(one, now, today, zone) for one in rows])
    found = runways(burn_matrix(table.column("burn_daily")), history, balances, grants)
    return [_outlook(row, runway, now, zone) for row, runway in zip(rows, found, strict=True)]


def grants_of(row: Mapping[str, Any], now: datetime, today: date, zone: str, horizon: int = HORIZON_DAYS) -> Floats:
    """Credits that the subscription is known to add, by day from today on; none where it ends or is overdue."""
    start, renewal = row["period_start"], row["renews_at"]
    if not row["renewing"] or renewal is None or start is None or renewal < now:
        return known_grants(None, None, None, horizon)
    days = (local_date(renewal, zone) - today).days
    return known_grants(days, (renewal - start).days, row["credits_per_period"], horizon)


def burn_matrix(column: pa.ChunkedArray) -> Floats:
    """Tenants by day, oldest first."""
    values = column.combine_chunks().flatten().cast(pa.float64())
    return np.asarray(values.to_numpy(zero_copy_only=False), np.float64).reshape(len(column), HISTORY_DAYS)


def by_priority(outlooks: Sequence[Outlook]) -> list[Outlook]:
    """Whom to call first; those without a flag are left out."""
    flagged = [one for one in outlooks if one.priority > 0]
    return sorted(flagged, key=lambda one: (-one.priority, one.tenant_id))


def _outlook(row: Mapping[str, Any], runway: Runway, now: datetime, zone: str) -> Outlook:
    flags = rules.flags(row, runway, now=now, zone=zone)
    return Outlook(
        row["tenant_id"],
        row["tenant_id"] if row["tenant"] is None else row["tenant"],
        runway,
        tuple(flags),
        rules.priority(row, flags),
        row,
    )
