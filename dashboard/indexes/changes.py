"""Indexes made and dropped from here: the one under way, and what became of the others."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from dashboard import fragments, words
from dashboard.indexes import Indexes, applying, panel
from dashboard.services import current
from queries.errors import UsageDashboardError
from queries.performance.findings import quoted
from queries.performance.index_changes import Change, IndexChanges, Job, Measured, has_helped, verdict
from queries.performance.index_facts import IndexFact
from queries.performance.index_health import drop_statement
from queries.performance.workload import Origin

LOOK_EVERY_S = 1.0
_SHOWN = 10
_STATES = {
    "measuring": "Measuring the statements as they are now",
    "changing": "PostgreSQL is at work",
    "confirming": "Measuring the statements again",
}
_SEEN = "index_change_seen"


def under_way(shown: Indexes) -> None:
    """The change that runs, with how far PostgreSQL is; and once, what came of it."""
    applying.show_refusal()
    maker = current().index_changes
    job = maker.job if maker is not None else None
    if maker is None or job is None:
        return
    if job.ended.is_set():
        _ended(shown, job)
        return
    _watch(shown, maker, job)


def section(shown: Indexes) -> None:
    """What was changed from here, with the times before and after."""
    changes = [one for one in shown.changes if shown.is_shown(_table(shown, one))]
    if not changes:
        return
    with panel("Made and dropped from here"):
        for number, one in enumerate(changes[:_SHOWN]):
            _entry(shown, one, is_newest=_is_newest(one, changes), key=f"change-{number}")


def _watch(shown: Indexes, maker: IndexChanges, job: Job) -> None:
    run_id = shown.board.visit.run_id

    @fragments.fragment(run_every=LOOK_EVERY_S)
    def look() -> None:
        is_page_run = st.session_state.get("change_watched") != run_id
        st.session_state["change_watched"] = run_id
        if job.ended.is_set() and not is_page_run:
            st.rerun()
        did = "Making" if job.offer.action == "create" else "Dropping"
        share, phase = _progress(maker)
        st.progress(
            share, text=words.plain(f"{did} {job.offer.index_name} for {job.by}: {phase or _STATES.get(job.state, '')}")
        )

    look()


def _progress(maker: IndexChanges) -> tuple[float, str]:
    job = maker.job
    at = {"measuring": 0.05, "changing": 0.15, "confirming": 0.9}.get(job.state if job is not None else "", 1.0)
    try:
        progress = maker.progress()
    except UsageDashboardError:
        return at, ""
    if progress is None:
        return at, ""
    return at + 0.7 * min(1.0, max(0.0, progress.share or 0.0)), progress.phase


def _ended(shown: Indexes, job: Job) -> None:
    """What came of the last change, until the person has looked at another page or clicks on."""
    known = st.session_state.get(_SEEN)
    if known is not None and known == job.started_at:
        return
    st.session_state[_SEEN] = job.started_at
    current().advisor.forget()
    shown.standing = current().advisor.look(shown.chosen.asked)
    did = "made" if job.offer.action == "create" else "dropped"
    if job.state == "failed":
        st.error(words.plain(words.sentence(job.sentence)), icon=":material/error:")
    elif not job.measured:
        st.info(words.plain(words.sentence(job.sentence)), icon=":material/info:")
    else:
        said = f"{job.offer.index_name} was {did}. {job.sentence}"
        helped = has_helped(job.offer.action, job.measured)
        (st.warning if helped is False else st.success)(words.plain(said), icon=":material/check:")


def _entry(shown: Indexes, one: Change, *, is_newest: bool, key: str) -> None:
    did = "Made" if one.action == "create" else "Dropped"
    with st.container(border=True, gap="small"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.subheader(words.plain(f"{did} {one.index_name}"), anchor=False, width="content")
            _outcome(one)
        gone = " It is not there any more." if one.action == "create" and _fact(shown, one) is None else ""
        st.caption(words.plain(f"{words.moment(one.changed_at, shown.board.zone)}, by {one.changed_by}.{gone}"))
        if one.measured:
            st.markdown(_table_of(one.measured))
        st.markdown(words.plain(verdict(one.action, one.measured)))
        fact = _fact(shown, one)
        if is_newest and one.action == "create" and fact is not None and not fact.is_kept:
            applying.offer(shown, drop_statement(fact), origins=_same(shown, one), key=key)


def _outcome(one: Change) -> None:
    helped = has_helped(one.action, one.measured)
    if helped is None:
        st.badge("not measured", color="gray")
    elif helped:
        st.badge("confirmed", color="green", icon=":material/check:")
    else:
        st.badge("did not help" if one.action == "create" else "slower", color="orange")


def _table_of(measured: Sequence[Measured]) -> str:
    head = ["Statement", "Logged p50", "Logged p95", "Before", "After"]
    lines = [head, ["---", *("---:" for _ in head[1:])]]
    for one in measured:
        logged = (one.logged.p50_ms, one.logged.p95_ms) if one.logged is not None else (None, None)
        times = (*logged, one.before.p50_ms if one.before else None, one.after.p50_ms if one.after else None)
        lines.append([words.plain(one.name), *("–" if time is None else words.small_ms(time) for time in times)])
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _same(shown: Indexes, one: Change) -> list[Origin]:
    """The statements that were measured when it was made, as far as they are known now."""
    names = {measured.fingerprint for measured in one.measured if measured.fingerprint is not None}
    origins = shown.advised.workload.origins.values() if shown.advised is not None else ()
    return [origin for origin in origins if origin.fingerprint in names]


def _is_newest(one: Change, changes: Sequence[Change]) -> bool:
    return one is next(other for other in changes if other.index_name == one.index_name)


def _fact(shown: Indexes, one: Change) -> IndexFact | None:
    return next((fact for fact in shown.facts if quoted(fact.name) == quoted(one.index_name)), None)


def _table(shown: Indexes, one: Change) -> str | None:
    fact = _fact(shown, one)
    return fact.table if fact is not None else None
