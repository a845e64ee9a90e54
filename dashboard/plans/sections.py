"""What the Plan page shows, from the top down. A section that fails says so in its place and hides no other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from dashboard import address, headline, listing, panels, words
from dashboard.board import Board
from dashboard.figures.plan import icicle
from dashboard.headline import Headline
from dashboard.plans import choices, tables
from dashboard.plans.choices import LIST_PAGE, Chosen
from dashboard.plans.compare import compared
from dashboard.plans.subject import Shown, Subject, ask, of_kept, shown_plan, subject_of, window_of
from dashboard.services import current
from dashboard.tables import cells
from queries.errors import ArgumentError, NotFoundError, UsageDashboardError
from queries.performance import plan_history
from queries.performance.plan_keeping import KeptPlan
from queries.performance.plan_tree import PlanTree
from queries.performance.plan_warnings import PlanWarning, plan_warnings
from queries.performance.recorded import read
from queries.performance.sql_text import hidden_parameters, laid_out

_ICONS = {"high": ":material/error:", "medium": ":material/warning:", "low": ":material/info:"}
_MEMORY_ONLY = "No DIRECT_URL: statements and plans are those of this process since it started."


def statements(board: Board) -> None:
    """The statements that were run in the last days, the slowest first; a click opens one."""
    with _section("Statements, the slowest first"):
        address.show(address.complaints({LIST_PAGE: listing.page_check}))
        services, window, page = current(), window_of(), listing.page_number(LIST_PAGE)
        asked = plan_history.statements(
            window, services.monitor, offset=(page - 1) * cells.PAGE_ROWS, limit=cells.PAGE_ROWS
        )
        answer = read(services.database, asked)
        if answer.frame.empty:
            _no_statements(page)
            return
        st.caption(f"{_since()} Click a row for its plan.")
        counts = plan_history.plan_counts(services.database, services.plan_keeper, list(answer.frame["fingerprint"]))
        clicked = tables.statements(answer.frame, counts, zone=board.zone, key=f"statements-{page}")
        if clicked is not None:
            choices.open_statement(clicked)
            st.rerun()
        listing.pager(int(answer.frame["total_rows"].iloc[0]), "statement", LIST_PAGE)
        st.caption(words.plain(panels.freshness([answer], board.zone, answer.as_of)))


def _no_statements(page: int) -> None:
    if page > 1:
        st.info(f"There is no page {page:,} of statements.", icon=":material/hourglass_empty:")
        st.button("Show the first page", on_click=listing.first_page, args=(LIST_PAGE,), type="primary")
        return
    st.info(
        f"{_since()} No statement was run in this time. Open another page, so that it asks the database, then come"
        " back.",
        icon=":material/hourglass_empty:",
    )


def _since() -> str:
    return "Of the last 7 days." if current().database.owner is not None else f"{_MEMORY_ONLY}"


def statement(chosen: Chosen) -> None:
    """One statement: its plan, what stands out, its text, and the plans it has had."""
    board = chosen.board
    try:
        subject = subject_of(chosen)
    except UsageDashboardError as error:
        panels.failure(error, key="statement")
        st.button("All statements", on_click=choices.open_list, type="primary")
        return
    if not subject.is_known:
        _unknown()
        return
    board.name(f"Plan of {subject.name}")
    _bar(subject)
    shown = shown_plan(subject, board.zone)
    if shown is None:
        shown = _first_look(subject, board.zone)
    if chosen.plan is not None and (shown is None or shown.plan_hash != chosen.plan):
        address.show(["The plan that the link names is not kept any more; the newest is shown."])
    if shown is not None:
        _figures(shown, subject)
        _plan(shown)
        _beside(subject, shown)
    _text(subject, shown)
    _history(subject, shown, board.zone)


def _unknown() -> None:
    memory = "" if current().database.owner is not None else f" {_MEMORY_ONLY}"
    st.info(
        words.plain(
            "This statement is not kept any more, or the link has another one's digest. Open the page that asks it,"
            f" or choose one from the list.{memory}"
        ),
        icon=":material/history_toggle_off:",
    )
    st.button("All statements", on_click=choices.open_list, type="primary")


def _bar(subject: Subject) -> None:
    """Ask for the plan anew: estimated at once, or measured by running the statement."""
    timeout_s = current().settings.statement_timeout_s
    with subject.chosen.board.bar:
        st.button("All statements", on_click=choices.open_list, icon=":material/list:", type="tertiary")
        estimates = st.button(
            "Estimate now",
            key="plan_estimate",
            icon=":material/account_tree:",
            help="EXPLAIN with the parameters of the call. Nothing is run.",
        )
        measures = st.button(
            "Run and measure",
            key="plan_measure",
            icon=":material/timer:",
            help="EXPLAIN ANALYZE: runs the statement once, in a read-only transaction that is rolled back, for at"
            f" most {timeout_s:g} s.",
        )
    if estimates or measures:
        choices.open_newest()
        with st.spinner(f"Waiting for the database, at most {timeout_s:g} s.", show_time=True):
            _asked(subject, analyze=measures)


def _asked(subject: Subject, *, analyze: bool) -> None:
    try:
        plan = ask(subject, analyze=analyze)
    except (ArgumentError, NotFoundError) as error:
        st.info(words.plain(words.sentence(error.message)), icon=":material/visibility_off:")
        return
    except UsageDashboardError as error:
        panels.failure(error, key="plan-now")
        return
    if plan.fingerprint != subject.chosen.statement:
        st.info(
            "The statement has changed since that call; this is the plan of its present form.",
            icon=":material/published_with_changes:",
        )


def _first_look(subject: Subject, zone: str) -> Shown | None:
    """No plan is kept yet: it is estimated at once."""
    _asked(subject, analyze=False)
    return shown_plan(subject, zone)


# ---- sections


def _figures(shown: Shown, subject: Subject) -> None:
    tree, root = shown.tree, shown.tree.nodes[0]
    figures = [_whole(tree), _rows(tree)]
    if tree.planning_ms is not None:
        figures.append(
            Headline("Planning", words.small_ms(tree.planning_ms), "Time to plan the statement", note="once")
        )
    if root.buffers is not None:
        hit, read_, written = (
            sum(getattr(one.buffers, name) for one in tree.nodes if one.buffers is not None)
            for name in ("hit", "read", "temp_written")
        )
        note = f"{words.amount(read_)} read, {words.amount(written)} temporary"
        detail = (
            f"{words.exact(hit)} blocks of 8 kB in memory, {words.exact(read_)} read, {words.exact(written)} written"
        )
        figures.append(Headline("Blocks in memory", words.amount(hit), detail, note=note))
    if subject.call is not None:
        taken = words.small_ms(subject.call.database_ms)
        counted = "" if subject.call.rows is None else words.counted(subject.call.rows, "row")
        figures.append(
            Headline("That call took", taken, "In the database, rows fetched, as it was logged", note=counted)
        )
    headline.show(figures)
    st.caption(words.plain(f"{shown.origin}, plan {shown.plan_hash[:8]}. {_settings(tree)}".strip()))


def _whole(tree: PlanTree) -> Headline:
    if tree.total_ms is not None:
        whole = tree.execution_ms if tree.execution_ms is not None else tree.total_ms
        return Headline("Time", words.small_ms(whole), "Measured: the statement was run", note="measured")
    about = "The planner's units: reading a page in order is 1. Run and measure tells milliseconds"
    return Headline("Cost", words.amount(round(tree.total_cost)), about, note="estimated")


def _rows(tree: PlanTree) -> Headline:
    root = tree.nodes[0]
    expected = words.amount(round(root.estimated_rows))
    if root.actual_rows is None:
        return Headline("Rows expected", expected, "By the planner's statistics", note="estimated")
    detail = (
        f"{words.exact(round(root.actual_rows))} rows came, {words.exact(round(root.estimated_rows))} were expected"
    )
    return Headline("Rows", words.amount(round(root.actual_rows)), detail, note=f"{expected} expected")


def _settings(tree: PlanTree) -> str:
    if not tree.settings:
        return ""
    return f"Settings of its own: {', '.join(f'{name} {value}' for name, value in sorted(tree.settings.items()))}."


def _plan(shown: Shown) -> None:
    tree = shown.tree
    with _section("What stands out"):
        _warnings(tree)
    with _section(f"Where the {'time' if tree.is_measured else 'cost'} goes"):
        is_dark = st.context.theme.type == "dark"
        alt = f"The plan as an icicle: {len(tree.nodes)} nodes, each as wide as its part. The table below has the same."
        panels.chart(icicle(tree, is_dark=is_dark), alt=alt, key=f"icicle-{shown.plan_hash}")
        _nodes(tree, f"nodes-{shown.plan_hash}-{tree.is_measured}")


def _nodes(tree: PlanTree, key: str) -> None:
    """The nodes that count; the others on demand."""
    chosen = tables.of_weight(tree, {one.node for one in plan_warnings(tree)})
    left = len(tree.nodes) - len(chosen)
    if left and st.toggle(f"All {len(tree.nodes)} nodes", key="plan_all_nodes"):
        chosen, left = list(tree.nodes), 0
    tables.nodes(tree, chosen, key=f"{key}-{len(chosen)}")
    if left:
        what = "time" if tree.is_measured else "cost"
        st.caption(f"{words.counted(left, 'node')} with less than 1 % of the {what} are left out.")


def _warnings(tree: PlanTree) -> None:
    found = plan_warnings(tree)
    if not found:
        st.markdown(
            "Nothing stands out in this plan."
            if tree.is_measured
            else "Nothing stands out in this estimate. Rows removed by filters, sorts on disk and wrong estimates are"
            " only known once it is measured."
        )
        return
    for one in found:
        st.markdown(f"{_ICONS[one.severity]} {words.plain(_sentence(one, tree))}")


def _sentence(one: PlanWarning, tree: PlanTree) -> str:
    at = "" if one.node == 0 else f"#{one.node} {words.shortened(tree.nodes[one.node - 1].title, 80)}: "
    advice = words.sentence(one.advice)
    return f"{at}{one.fact if at else words.sentence(one.fact).removesuffix('.')}. {advice}"


def _beside(subject: Subject, shown: Shown) -> None:
    """The plan that the URL puts beside the one that is shown."""
    chosen = subject.chosen
    if chosen.against is None or chosen.against == shown.plan_hash:
        return
    other = subject.kept(chosen.against)
    if other is None:
        address.show(["The plan to compare with is not kept any more; nothing is compared."])
        return
    with _section("Two plans side by side"):
        before, after = _in_order(subject, other, shown)
        found = compared(before.tree, after.tree)
        for sentence in found.sentences or ("Both have the same shape; only estimates and times differ.",):
            st.markdown(words.plain(words.sentence(words.shortened(sentence, 400))))
        for place, one, marks in zip(st.columns(2), (before, after), (found.before, found.after), strict=True):
            with place:
                st.caption(words.plain(f"Plan {one.plan_hash[:8]}. {one.origin}. Cost {one.tree.total_cost:,.0f}."))
                tables.beside(one.tree, marks, key=f"beside-{one.plan_hash}")
        st.button("Put it away", on_click=choices.set_beside, args=("",), icon=":material/close:")


def _in_order(subject: Subject, other: KeptPlan, shown: Shown) -> tuple[Shown, Shown]:
    """The one that was seen first at the left."""
    beside, mine = of_kept(other, subject.chosen.board.zone), subject.kept(shown.plan_hash)
    return (shown, beside) if mine is not None and mine.first_seen_at < other.first_seen_at else (beside, shown)


def _text(subject: Subject, shown: Shown | None) -> None:
    sql = shown.sql if shown is not None else subject.sql
    parameters = shown.parameters if shown is not None else {}
    with _section("Statement"):
        if not sql:
            st.markdown("The text of this statement is not kept.")
            return
        st.code(laid_out(sql), language=None, wrap_lines=True, height=360)
        if parameters:
            hidden = hidden_parameters(sql, parameters)
            note = " What may be personal is hidden, and long lists are counted." if hidden else ""
            st.caption(f"Parameters.{note}")
            st.code(
                json.dumps(dict(parameters), indent=1, default=str, ensure_ascii=False),
                language=None,
                wrap_lines=True,
                height=180,
            )


def _history(subject: Subject, shown: Shown | None, zone: str) -> None:
    with _section("Plans of this statement"):
        if not subject.plans:
            st.markdown("No plan of this statement is kept yet. Estimate it now, and this one is dated here.")
            return
        services, plans = current(), list(subject.plans)
        times = plan_history.times_by_plan(
            services.database, subject.window, services.monitor, subject.chosen.statement, plans
        )
        st.markdown(words.plain(_changes(plans, zone)))
        shown_hash = shown.plan_hash if shown is not None else ""
        clicked = tables.plans(plans, times, shown_hash, zone=zone, key=f"plans-{shown_hash}")
        if clicked is not None and clicked != shown_hash:
            choices.open_plan(clicked)
            st.rerun()
        others = [one for one in plans if one.plan_hash != shown_hash]
        if others:
            _beside_choice(others, subject.chosen.against, zone)


def _changes(plans: list[KeptPlan], zone: str) -> str:
    newest = max(plans, key=lambda one: (one.first_seen_at, one.plan_hash))
    if len(plans) == 1:
        return f"It has had one plan, first seen {words.moment(newest.first_seen_at, zone)}."
    return (
        f"It has had {len(plans)} plans; the newest was first seen {words.moment(newest.first_seen_at, zone)}."
        " Other values of the parameters may bring an older one back. Click a row to look at it."
    )


def _beside_choice(others: list[KeptPlan], against: str | None, zone: str) -> None:
    names = {
        "": "None",
        **{one.plan_hash: f"{one.plan_hash[:8]}, first seen {words.moment(one.first_seen_at, zone)}" for one in others},
    }
    st.session_state["plan_beside"] = against if against in names else ""
    st.selectbox(
        "Put beside the plan above",
        list(names),
        format_func=lambda one: names.get(one, one),
        key="plan_beside",
        on_change=_beside_chosen,
        width=340,
    )


def _beside_chosen() -> None:
    choices.set_beside(st.session_state["plan_beside"])


@contextmanager
def _section(title: str) -> Iterator[None]:
    """A bordered section; what goes wrong in it is said in it."""
    with st.container(border=True):
        st.header(title, anchor=False)
        try:
            yield
        except UsageDashboardError as error:
            panels.failure(error, key=f"section-{title}")
