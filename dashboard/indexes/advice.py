"""Advice for the workload: each entry with its reason, its gain, its cost, its SQL, and how sure it is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import streamlit as st

from dashboard import fragments, panels, places, words
from dashboard.indexes import Indexes, applying, choices, panel
from dashboard.services import current
from queries.performance.advice import TENANT_KINDS, Advice
from queries.performance.advising import Advised
from queries.performance.findings import same_statement, size_text
from queries.performance.workload import Origin

LOOK_EVERY_S = 1.0
TITLES = {
    "create_index": "Make an index",
    "drop_index": "Drop an index",
    "rewrite": "Rewrite the statement",
    "pre_aggregate": "Aggregate beforehand",
    "analyze": "Update statistics",
    "none": "No index helps",
}
EVIDENCE = {
    "hypopg": ("verified by HypoPG", "The planner was asked with a hypothetical index of HypoPG."),
    "built": ("built and rolled back", "The index was built in a transaction, looked at, and rolled back."),
    "estimated": ("estimated", "Neither HypoPG nor the tables' owner is at hand here: not verified by the planner."),
}
SEVERITY_COLOURS = {"high": "red", "medium": "orange", "low": "blue", "note": "gray"}
_NAMES_SHOWN, _SQL_PX = 6, 200


def section(shown: Indexes) -> None:
    """The panel: what is being computed, what is advised, and the rest at a click."""
    with panel("Index advice"):
        _said(shown)
        if shown.standing.error is not None and not shown.standing.is_computing:
            panels.failure(shown.standing.error, key="advice")
        if shown.advised is not None:
            _entries(shown, shown.advised)
        elif shown.standing.is_computing:
            st.skeleton(160)
        if shown.standing.is_computing:
            _watch(shown)


def _said(shown: Indexes) -> None:
    """For what, as of when, and the button to advise again."""
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap="small"):
        st.caption(words.plain(_workload(shown)), width="stretch")
        st.button(
            "Advise again",
            icon=":material/refresh:",
            on_click=current().advisor.forget,
            disabled=shown.standing.is_computing,
            key="advise_again",
        )


def _workload(shown: Indexes) -> str:
    advised = shown.advised
    if advised is None:
        return f"For the statements run in the {shown.chosen.hours_name.lower()}."
    origins = advised.workload.origins.values()
    ours, theirs = sum(one.is_ours for one in origins), sum(not one.is_ours for one in origins)
    counted = f"{words.counted(ours, 'statement')} of the dashboard's"
    counted += f" and {theirs:,} of the application's" if shown.chosen.asked.source == "server" else ""
    age = words.ago(advised.as_of, datetime.now(UTC))
    return (
        f"For {counted} run in the {shown.chosen.hours_name.lower()}; advised {age}, in"
        f" {words.duration(advised.took_s * 1000)}."
    )


def _watch(shown: Indexes) -> None:
    """Say how far it is, and draw the page anew when it is there."""
    run_id, asked = shown.board.visit.run_id, shown.chosen.asked

    @fragments.fragment(run_every=LOOK_EVERY_S)
    def look() -> None:
        standing = current().advisor.look(asked)
        is_page_run = st.session_state.get("advice_watched") != run_id
        st.session_state["advice_watched"] = run_id
        if not standing.is_computing and not is_page_run:
            st.rerun()
        st.status(words.plain(standing.step or "Advising"), state="running")

    look()


def _entries(shown: Indexes, advised: Advised) -> None:
    wanted = _of_query(shown, [one for one in advised.advice if shown.is_shown(one.table)], advised)
    helping = [one for one in wanted if one.verdict != "none"]
    for number, one in enumerate(helping):
        _entry(shown, advised, one, key=f"advice-{number}")
    if not helping:
        st.success(_nothing_to_do(advised), icon=":material/check:")
    _server_state(advised)
    _unknown(advised)
    others = [one for one in wanted if one.verdict == "none"]
    if others:
        with st.expander(f"No index for {words.counted(len({n for o in others for n in o.statements}), 'statement')}"):
            for one in others:
                with st.container(horizontal=True, gap="small"):
                    _links(one, advised, width="content")
                    st.markdown(words.plain(words.sentence(one.reason)), width="stretch")


def _of_query(shown: Indexes, advice: list[Advice], advised: Advised) -> list[Advice]:
    """Only that for the question of the link, with a button to see all again."""
    wanted = shown.chosen.query
    if wanted is None:
        return advice
    names = {name for name, origin in advised.workload.origins.items() if origin.query == wanted}
    if not names:
        st.info(
            f"{words.plain(words.shortened(wanted, 60))} was not run in the {shown.chosen.hours_name.lower()}, or is"
            " not known; the advice is for all statements.",
            icon=":material/link_off:",
        )
        return advice
    st.button(
        f"Only {wanted}",
        icon=":material/close:",
        on_click=choices.forget_query,
        help="Show the advice for all statements",
        key="only_query",
    )
    return [one for one in advice if names.intersection(one.statements)]


def _nothing_to_do(advised: Advised) -> str:
    if not advised.workload.statements:
        return "No statement was run in this time, so there is nothing to advise on. Open a page, then come back."
    return "None of these statements needs an index that is not there. What was looked at is listed below."


def _entry(shown: Indexes, advised: Advised, one: Advice, *, key: str) -> None:
    with st.container(border=True, gap="small"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.subheader(words.plain(_title(one)), anchor=False, width="content")
            st.badge(one.severity, color=SEVERITY_COLOURS[one.severity])  # type: ignore[arg-type]  # a colour's name
            label, meaning = EVIDENCE[one.evidence]
            st.badge(label, color="green" if one.evidence != "estimated" else "gray", help=meaning)
        st.markdown(words.plain(words.sentence(one.reason)))
        _links(one, advised)
        gains = _gains(one)
        if gains:
            st.markdown(gains)
        if one.verdict != "create_index" and (costs := _costs(one)):  # of one to be made, the reason says it
            st.caption(words.plain(costs))
        if one.rewritten:
            st.code(one.rewritten, language=None, wrap_lines=True)
        applying.statements(one.ddl, one.prisma)
        if one.ddl and one.verdict in ("create_index", "drop_index"):
            keys = [each for each in shown.index_findings if same_statement(each.ddl, one.ddl)]
            lookup = applying.lookup_of(keys[0]) if keys else None
            applying.offer(shown, one.ddl, origins=_origins(one, advised), lookup=lookup, key=key)


def _title(one: Advice) -> str:
    name = {"create_index": "on", "drop_index": "of"}.get(one.verdict, "for")
    return f"{TITLES[one.verdict]} {name} {one.table}" if one.table else TITLES[one.verdict]


def _origins(one: Advice, advised: Advised) -> list[Origin]:
    return [advised.workload.origins[name] for name in one.statements if name in advised.workload.origins]


def _links(one: Advice, advised: Advised, *, width: str = "stretch") -> None:
    """The statements it is for: ours lead to their figures, theirs show their text."""
    with st.container(horizontal=True, gap="small", vertical_alignment="center", width=width):  # type: ignore[arg-type]  # a width's name
        for name in one.statements[:_NAMES_SHOWN]:
            origin = advised.workload.origins.get(name)
            if origin is not None and origin.is_ours:
                places.link("performance", words.plain(name), {"question": origin.query})
            elif origin is not None:
                with st.popover(words.plain(name), type="tertiary"):
                    st.caption(f"{origin.calls:,} calls, {words.small_ms(origin.mean_ms)} on average")
                    st.code(origin.sql, language=None, wrap_lines=True, height=_SQL_PX)
        if len(one.statements) > _NAMES_SHOWN:
            st.caption(f"and {len(one.statements) - _NAMES_SHOWN:,} more")


def _gains(one: Advice) -> str:
    """Now and then by kind of tenant, as a small table."""
    kinds = [kind for kind in TENANT_KINDS if kind in one.before_ms and kind in one.after_ms]
    if not kinds:
        return ""
    is_whole = kinds == ["biggest"]
    names = ["As asked"] if is_whole else [f"{kind.capitalize()} tenant" for kind in kinds]
    rows: Sequence[tuple[str, list[str]]] = (
        ("Now", [words.small_ms(one.before_ms[kind]) for kind in kinds]),
        ("With it", [words.small_ms(one.after_ms[kind]) for kind in kinds]),
    )
    lines = [["", *names], ["---", *("---:" for _ in kinds)], *([name, *cells] for name, cells in rows)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _costs(one: Advice) -> str:
    parts = [f"Size about {size_text(one.size_bytes)}."] if one.size_bytes else []
    if one.write_cost_bytes_per_row:
        parts.append(f"Each inserted row writes about {one.write_cost_bytes_per_row} bytes more to the log.")
    return " ".join(parts)


def _server_state(advised: Advised) -> None:
    state = advised.workload.server
    if state is None or state.kind == "ready":
        return
    st.info(words.plain(state.sentence), icon=":material/info:")
    if state.command:
        st.code(state.command, language=None, wrap_lines=True)


def _unknown(advised: Advised) -> None:
    names = advised.workload.unknown
    if names:
        some = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
        st.caption(
            words.plain(
                f"Not advised on: {words.counted(len(names), 'question')} ({some}) that another or an earlier process"
                " ran; their parameters are not kept. Open their pages once, then advise again."
            )
        )
