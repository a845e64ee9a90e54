"""Who burns much more, and who much less, than the week before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from dashboard import places, words
from dashboard.outlook import Outlook
from dashboard.portfolio.wanted import Portfolio
from queries.query import Result

SHOWN = 5


def up(portfolio: Portfolio, signals: Result) -> None:
    """The five whose burn rose the most."""
    _moved(movers(portfolio.outlooks(signals), rising=True), "No tenant burned more than in the week before.")


def down(portfolio: Portfolio, signals: Result) -> None:
    """The five whose burn fell the most."""
    _moved(movers(portfolio.outlooks(signals), rising=False), "No tenant burned less than in the week before.")


def movers(outlooks: Sequence[Outlook], *, rising: bool) -> list[Outlook]:
    """By the difference in credits, the largest first."""
    moved = [one for one in outlooks if (difference(one) > 0 if rising else difference(one) < 0)]
    return sorted(moved, key=lambda one: (-abs(difference(one)), one.tenant_id))[:SHOWN]


def difference(one: Outlook) -> Any:
    """Credits burned, net, in the last 7 complete days minus those of the 7 before."""
    return one.row["burn_7d_credits"] - one.row["burn_prev_7d_credits"]


def said(one: Outlook) -> str:
    """ "+552 credits (+85 %): 652 to 1,204"; "new" where nothing was burned before."""
    last, before, moved = one.row["burn_7d_credits"], one.row["burn_prev_7d_credits"], difference(one)
    sign = "+" if moved > 0 else ""
    share = words.change(last, before).text
    in_share = f" ({share})" if share else ""
    return f"{sign}{words.exact(moved)} credits{in_share}: {words.exact(before)} to {words.exact(last)}"


def _moved(found: Sequence[Outlook], nobody: str) -> None:
    if not found:
        st.caption(nobody)
        return
    st.caption("Net credits burned in the last 7 complete days, against the 7 before.")
    for one in found:
        name, moved = st.columns([2, 3], gap="small", vertical_alignment="center")
        with name:
            places.link("tenant", words.plain(words.shortened(one.tenant, 32)), {"tenant": one.tenant_id})
        moved.markdown(words.plain(said(one)))
