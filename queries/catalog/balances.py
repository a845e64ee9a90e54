"""Balances reckoned back from the posted one: what it was at the end of each bucket, exactly."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from typing import Any

import pandas as pd
import pyarrow as pa

from queries.arrow import MAX_DIGITS
from queries.catalog.gaps import PLACE, every_bucket_and_series

# Columns that the statement gives and the frame has no more: the bucket's number, what each row changed in the posted
# balances, and what these were when the last bucket ended.
NUMBER, CHANGE, CLOSING = "number", "change_credits", "closing_credits"
BALANCE = "balance_credits"
_INSTANT = pd.ArrowDtype(pa.timestamp("us", "UTC"))


def flows_and_balance(frame: pd.DataFrame, arguments: Mapping[str, Any]) -> pd.DataFrame:
    """One row per bucket and series, and the balance of all of them at the bucket's end in each; null when there is no
    posted balance. The statement gives one row more, without a bucket, where the ledger has nothing."""
    closing = next(iter(frame[CLOSING].dropna()), None)
    rows = frame[frame[NUMBER].notna()].drop(columns=CLOSING)
    starts = [one.local_start.astimezone(UTC) for one in arguments["period"].buckets()]
    begun = [starts[int(number) - 1] for number in rows.pop(NUMBER)]
    rows.insert(0, "bucket_start", pd.Series(begun, index=rows.index, dtype=_INSTANT))
    if rows.empty:
        rows = rows.drop(columns=[PLACE, "series_id", "series"])
    whole = every_bucket_and_series(rows, arguments)
    balances = _reckoned_back(whole["bucket_start"].tolist(), whole[CHANGE].tolist(), closing)
    whole[BALANCE] = pd.Series(balances, index=whole.index, dtype=_type(frame[CHANGE], frame[CLOSING]))
    return whole[["bucket_start", "series_id", "series", *_figures(frame), BALANCE]]


def _figures(frame: pd.DataFrame) -> list[str]:
    return [one for one in frame.columns if one not in (NUMBER, PLACE, "series_id", "series", CHANGE, CLOSING)]


def _reckoned_back(starts: list[Any], changes: list[Any], closing: Any) -> list[Any]:
    """The balance at the end of each row's bucket; rows of one bucket stand together, the buckets in order."""
    if closing is None:
        return [None] * len(starts)
    found, balance, after = [], closing, 0
    for place in reversed(range(len(starts))):
        if place + 1 < len(starts) and starts[place] != starts[place + 1]:
            balance, after = balance - after, 0
        found.append(balance)
        after += changes[place]
    return found[::-1]


def _type(*columns: pd.Series[Any]) -> pd.ArrowDtype:
    """Whole numbers where all of these are, else decimals with the digits of both."""
    types = [pa.array(one).type for one in columns]
    scales = [one.scale for one in types if pa.types.is_decimal(one)]
    return pd.ArrowDtype(pa.decimal128(MAX_DIGITS, max(scales)) if scales else pa.int64())
