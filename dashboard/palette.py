"""Which colour a tenant, user or model has been drawn in, so that it keeps it from page to page of a visit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pandas as pd
import streamlit as st

from dashboard import words
from dashboard.figures.colours import colours

_KEPT = "palette"
# Beyond these the oldest go: a visit that saw hundreds of tenants has no free hue anyway.
_LONGEST = 64


def kept(kind: str, ids: Iterable[str]) -> Mapping[str, str]:
    """The colours of these ids in this visit; new ones get hues that no other of the visit has, while there are any."""
    book: dict[str, dict[str, str]] = st.session_state.setdefault(_KEPT, {})
    known = book.setdefault(kind, {})
    chosen = colours(kind, ids, known)
    for one, hue in chosen.items():
        known.setdefault(one, hue)
    while len(known) > _LONGEST:
        known.pop(next(iter(known)))
    return chosen


def of_series(kind: str, frame: pd.DataFrame) -> Mapping[str, str]:
    """The colours of a frame's series (`series_id`)."""
    ids = [] if frame.empty else [words.known(one) for one in frame["series_id"].unique()]
    return kept(kind, [one for one in ids if one is not None])
