"""One tenant's month: how it adds up, and what makes a difference."""

from __future__ import annotations

import streamlit as st

from dashboard import places, tabs, words
from dashboard.account import sought
from dashboard.services import current
from dashboard.statements import choices, sentences
from dashboard.statements.choices import Chosen, named
from dashboard.tables import cells
from dashboard.tables import statements as tables
from queries.query import Result


def adds_up(chosen: Chosen, own: Result, difference: Result, suspects: Result, seen: Result, taken_off: Result) -> None:
    """The row as a sum; where something is unexplained, the rows and the days that make it."""
    row = chosen.row
    assert row is not None, "drawn of a row only"
    figures, about = words.first_row(own.frame), words.first_row(difference.frame)
    if not figures:
        st.info(f"There is no statement of this tenant for {named(row.month)}, or the tenant is not one of yours.")
        st.button("Close this", on_click=choices.look_away, key="away-nobody")
        return
    name = words.shortened(figures["tenant"] or row.tenant_id, 60)
    st.subheader(words.plain(f"{name}, {named(row.month)} ({figures['status']})"), anchor=False)
    st.markdown(words.plain(sentences.added_up(figures)) + ".")
    off = sentences.taken_off(cells.records(taken_off.frame))
    if off:
        st.markdown(f":material/difference: {words.plain(off)}")
    if current().database.mapping.derives_ledger:
        st.markdown(words.plain(sentences.DERIVED))
        _onward(chosen)
        return
    if figures["unexplained"]:
        st.markdown(f":material/report: :red[**{words.plain(sentences.standing(about))}**]")
    else:
        st.markdown(
            f":material/check_circle: {words.plain(f'Nothing of it is unexplained. {sentences.standing(about)}')}"
        )
    said = [sentences.fitting(about, row.month)] if not about["suspects"] else []
    said += [sentences.unknown(about), sentences.seen(cells.records(seen.frame), chosen.zone)]
    said += [sentences.conclusion(figures, about, chosen.zone)]
    st.markdown("\n".join(f"- {words.plain(one)}" for one in said if one))
    if about["suspects"]:
        _suspects(chosen, about["suspects"], sentences.fitting(about, row.month), suspects)
    _onward(chosen)


def _suspects(chosen: Chosen, total: int, said: str, suspects: Result) -> None:
    row = chosen.row
    assert row is not None, "drawn of a row only"
    st.markdown(words.plain(said))
    generation = tables.suspects(suspects.frame, chosen.zone, key=f"suspects-{row.tenant_id}-{row.month:%Y%m}")
    if total > len(suspects.frame):
        st.caption(f"The {len(suspects.frame)} largest of {total:,}.")
    if generation is not None:
        about = {tabs.TAB: "Generations", sought.ONE: generation, **choices.of_months((row.month,), chosen.zone)}
        places.link("tenant", "The generation", {"tenant": row.tenant_id, **about})


def _onward(chosen: Chosen) -> None:
    """To the movements, to the file, and back."""
    row = chosen.row
    assert row is not None, "drawn of a row only"
    months = choices.of_months((row.month,), chosen.zone)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        places.link("tenant", "The ledger of this month", {"tenant": row.tenant_id, tabs.TAB: "Ledger", **months})
        if places.may_open("exports"):
            about = {"report": "Credit statement", "tenant": row.tenant_id, **months}
            places.link("exports", "Its statement as a file", about)
        st.button("Close this", on_click=choices.look_away, icon=":material/close:", type="tertiary", key="away")
