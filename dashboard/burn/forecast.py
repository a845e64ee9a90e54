"""When each tenant runs out if more were bought or burned, beside how things are; from `dashboard.outlook`."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import Any

import numpy as np

from dashboard import outlook
from dashboard.insights import runway as runways
from dashboard.insights.flags import Flag
from dashboard.insights.runway import HORIZON_DAYS, Fan, FloatArray, Runway
from dashboard.outlook import Outlook
from queries.period import local_date
from queries.query import Result

# Ten thousand tenants take some seconds; a rerun asks for the same again.
_KEPT_ANSWERS = 8
# Where those stand in the list that have no day on which they run out.
_PLACES = {"empty": 0, "runs_out": 0, "beyond": 1, "short_history": 2, "no_burn": 3, "no_balance": 4}


@dataclass(frozen=True, slots=True)
class WhatIf:
    """Credits that each tenant buys now, and by how many percent its burn changes. Nothing of it is written."""

    buys_credits: int = 0
    change_percent: int = 0

    @property
    def is_asked(self) -> bool:
        return bool(self.buys_credits or self.change_percent)

    @property
    def burn_factor(self) -> float:
        return 1 + self.change_percent / 100


AS_IT_IS = WhatIf()


@dataclass(frozen=True, slots=True)
class Forecast:
    """One tenant's outlook as things are, and its runway with the what-if."""

    outlook: Outlook
    runway: Runway

    @property
    def as_it_is(self) -> Runway:
        return self.outlook.runway

    @property
    def flags(self) -> tuple[Flag, ...]:
        return self.outlook.flags

    @property
    def row(self) -> Mapping[str, Any]:
        return self.outlook.row

    @property
    def tenant_id(self) -> str:
        return self.outlook.tenant_id

    @property
    def tenant(self) -> str:
        return self.outlook.tenant


_kept: OrderedDict[tuple[Any, ...], list[Forecast]] = OrderedDict()
_lock = Lock()


def of_tenants(signals: Result, now: datetime, zone: str, what_if: WhatIf) -> list[Forecast]:
    """All tenants, the one that runs out first in front; kept for the reruns to come."""
    key = (signals.query.key, signals.as_of, now, zone, what_if)
    with _lock:
        if key in _kept:
            _kept.move_to_end(key)
            return _kept[key]
    found = made(outlook.of_result(signals, now, zone), now, zone, what_if)
    with _lock:
        _kept[key] = found
        while len(_kept) > _KEPT_ANSWERS:
            _kept.popitem(last=False)
    return found


def made(found: Sequence[Outlook], now: datetime, zone: str, what_if: WhatIf) -> list[Forecast]:
    """The same, computed: the what-if of all tenants in one vectorised call."""
    changed = [one.runway for one in found]
    if found and what_if.is_asked:
        burn, history, balances, grants = _inputs([one.row for one in found], now, zone)
        changed = runways.runways(
            burn, history, balances, grants, extra_credits=what_if.buys_credits, burn_factor=what_if.burn_factor
        )
    return sorted((Forecast(one, runway) for one, runway in zip(found, changed, strict=True)), key=_order)


def fan(one: Forecast, now: datetime, zone: str, what_if: WhatIf) -> Fan:
    """One tenant's balance to come."""
    burn, history, balances, grants = _inputs([one.row], now, zone)
    return runways.fan(
        burn[0],
        history[0],
        balances[0],
        grants[0],
        extra_credits=what_if.buys_credits,
        burn_factor=what_if.burn_factor,
    )


def grants_of(row: Mapping[str, Any], now: datetime, zone: str) -> FloatArray:
    """The credits that are known to come, by day from today."""
    return outlook.grants_of(row, now, local_date(now, zone), zone)


def _inputs(
    rows: Sequence[Mapping[str, Any]], now: datetime, zone: str
) -> tuple[FloatArray, list[int], FloatArray, FloatArray]:
    """What the runway is told from, a row per tenant; an estimate may be reckoned in floats."""
    burn = np.array([[float(one) for one in row["burn_daily"]] for row in rows], np.float64)
    balances = np.array([np.nan if row["credits_left"] is None else float(row["credits_left"]) for row in rows])
    grants = np.stack([grants_of(one, now, zone) for one in rows])
    return burn, [int(row["history_days"]) for row in rows], balances, grants


def _order(one: Forecast) -> tuple[Any, ...]:
    """By the middle day on which the credits run out; those that never do by the reason, then by name."""
    late = HORIZON_DAYS + 1
    middle, early = one.runway.p50_days, one.runway.p10_days
    return (
        _PLACES[one.runway.state],
        late if middle is None else middle,
        late if early is None else early,
        one.tenant.casefold(),
        one.tenant_id,
    )
