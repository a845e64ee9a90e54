"""The Plan page on the small demo: every state, whatever the address says."""

import json
import re
import time
from typing import Any

import pytest

from dashboard import viewer
from dashboard.figures.plan import icicle, own_parts
from dashboard.plans.compare import compared
from dashboard.plans.lines import plan_lines
from dashboard.plans.tables import of_weight
from queries.catalog import tenants, usage
from queries.performance.plan_history import kept_plans
from queries.performance.plan_shape import plan_hash
from queries.performance.plan_tree import plan_tree
from queries.performance.plans import Plan
from queries.query import Query
from queries.runner import Context
from queries.scope import Scope

ALL = Scope.all_tenants()
SCAN = {
    "Node Type": "Seq Scan",
    "Relation Name": "g",
    "Alias": "g",
    "Total Cost": 90.0,
    "Plan Rows": 10,
    "Filter": "(a = 1)",
}
INDEX = {
    "Node Type": "Index Scan",
    "Relation Name": "g",
    "Alias": "g",
    "Index Name": "i",
    "Total Cost": 9.0,
    "Plan Rows": 10,
}
HOSTILE = "<b onclick=x>[a](https://example.com) :red[$x$] `</b>"


def printed(kind: str, *below: dict[str, Any], cost: float = 100.0, **more: Any) -> dict[str, Any]:
    return {"Node Type": kind, "Total Cost": cost, "Plan Rows": 10, "Plans": list(below), **more}


def ran(demo: Any, query: Query) -> tuple[str, str]:
    """The question asked of the database; its statement's fingerprint and the call's hash."""
    demo.cache.clear()
    known = len(demo.monitor.recent())
    demo.runner.run(query, Context(ALL, role="engineer", page="timelines"))
    one = demo.monitor.recent()[known:][0]
    assert one.outcome == "miss"
    return one.fingerprint, one.parameters_hash


def keep(demo: Any, fingerprint: str, root: dict[str, Any]) -> str:
    document = {"Plan": root}
    plan = Plan(document, "SELECT count(*) FROM g WHERE a = %(a)s", None, plan_hash(document), fingerprint, {"a": 1})
    demo.plan_keeper.keep(plan, "test.question", 12.5)
    return plan.plan_hash


def said(texts: Any, app: Any) -> str:
    """What the page says, without the escapes of Markdown."""
    return texts(app).replace("\\", "")


def button(app: Any, label: str) -> Any:
    return next(one for one in app.button if one.label == label)


@pytest.mark.parametrize("role", ["account_manager", "finance"])
def test_plans_are_not_for_every_role(open_app, role, texts):
    app = open_app("plan", role=role, statement="ab" * 8)
    assert not app.exception
    assert "is not open to the role" in said(texts, app)
    assert not app.code
    assert not app.dataframe


def test_without_a_statement_those_that_were_run_are_listed_slowest_first(demo, open_app, texts):
    fingerprint, _ = ran(demo, usage.newest(ALL))
    app = open_app("plan", role="engineer")
    assert not app.exception
    assert not app.error
    assert [one.value for one in app.header] == ["Statements, the slowest first"]
    deadline = time.monotonic() + 10
    while not app.dataframe and time.monotonic() < deadline:
        app.run()  # the log is written in batches
    frame = app.dataframe[0].value
    assert fingerprint in frame["fingerprint"].tolist() or len(frame) == 25
    p95 = [in_ms(one) for one in frame["p95"]]
    assert p95 == sorted(p95, reverse=True)


def in_ms(text: str) -> float:
    number, unit = text.split()
    return float(number) * {"ms": 1, "s": 1_000}[unit]


def test_a_statement_shows_its_plan_its_text_and_its_history(demo, open_app, texts):
    fingerprint, call = ran(demo, tenants.plans(ALL))
    app = open_app("plan", role="engineer", statement=fingerprint, call=call)
    assert not app.exception
    assert not app.error
    assert [one.value.replace("\\", "") for one in app.title] == ["Plan of tenants.plans"]
    heads = [one.value for one in app.header]
    assert heads == ["What stands out", "Where the cost goes", "Statement", "Plans of this statement"]
    assert "FROM usage_dashboard.app_organization" in app.code[0].value
    assert "first seen" in said(texts, app)
    nodes = app.dataframe[0].value
    assert nodes["node"].iloc[0].endswith("#1")
    assert nodes["share"].str.contains("%").all()


def test_run_and_measure_tells_time_and_rows(demo, open_app, texts):
    fingerprint, call = ran(demo, tenants.plans(ALL))
    app = open_app("plan", role="admin", statement=fingerprint, call=call)
    assert "Time" not in [one.label for one in app.metric]
    button(app, "Run and measure").click().run()
    assert not app.exception
    assert not app.error
    assert {"Time", "Rows", "Planning", "Blocks in memory"} <= {one.label for one in app.metric}
    assert "Where the time goes" in [one.value for one in app.header]
    assert app.dataframe[0].value["rows"].iloc[0] >= 1
    assert "Measured at" in said(texts, app)
    button(app, "Estimate now").click().run()
    assert "Where the cost goes" in [one.value for one in app.header]


def test_a_call_of_another_process_with_hidden_parameters_says_what_to_do(demo, open_app, texts):
    fingerprint, call = ran(demo, tenants.tenant_choices(ALL, search="zebra", limit=3))
    before = kept_by(demo, fingerprint)
    demo.monitor.questions._by_hash.clear()
    app = open_app("plan", statement=fingerprint, call=call)
    deadline = time.monotonic() + 10
    while "That call took" not in [one.label for one in app.metric] and time.monotonic() < deadline:
        app.run()  # the log is written in batches
    button(app, "Estimate now").click().run()
    assert not app.exception
    assert not app.error
    assert "The log does not keep the value of" in said(texts, app)
    assert "open the page that asks this once more" in said(texts, app)
    assert "zebra" not in said(texts, app) + "".join(one.value for one in app.code)
    assert len(before) == 1


def kept_by(demo: Any, fingerprint: str) -> list[Any]:
    deadline = time.monotonic() + 20
    while not demo.plan_keeper.plans(fingerprint) and time.monotonic() < deadline:
        time.sleep(0.05)
    return kept_plans(demo.database, demo.plan_keeper, fingerprint)


def test_an_unknown_statement_is_said_and_leads_to_the_list(open_app, texts):
    app = open_app("plan", statement="0123456789abcdef")
    assert not app.exception
    assert not app.error
    assert "is not kept any more" in said(texts, app)
    button(app, "All statements").click().run()
    assert "statement" not in app.query_params


@pytest.mark.parametrize(
    "bad", ["x" * 5_000, "' OR 1=1 --", "<script>", "a\x00b", "0123456789ABCDEF", "", "../..", "%(a)s", "é"]
)
def test_nothing_in_the_address_is_trusted(demo, open_app, texts, bad):
    app = open_app("plan", statement=bad, call=bad, plan=bad, against=bad)
    assert not app.exception
    assert not app.error
    if bad:
        assert "The link's statement cannot be read" in said(texts, app)
    fingerprint, _ = ran(demo, tenants.plans(ALL))
    app = open_app("plan", statement=fingerprint, call=bad, plan=bad, against=bad)
    assert not app.exception
    assert not app.error
    assert "Plan of tenants.plans" in said(texts, app)


def test_a_plan_that_is_not_kept_any_more_is_said(demo, open_app, texts):
    fingerprint, call = ran(demo, tenants.plans(ALL))
    app = open_app("plan", statement=fingerprint, call=call, plan="0" * 16, against="1" * 16)
    assert not app.exception
    assert "The plan that the link names is not kept any more" in said(texts, app)
    assert "The plan to compare with is not kept any more" in said(texts, app)


def test_two_plans_stand_side_by_side(demo, open_app, texts):
    old = keep(demo, "fe" * 8, printed("Sort", SCAN))
    new = keep(demo, "fe" * 8, printed("Limit", INDEX, cost=12.0))
    app = open_app("plan", statement="fe" * 8, plan=new, against=old)
    assert not app.exception
    assert not app.error
    assert "Two plans side by side" in [one.value for one in app.header]
    text = said(texts, app)
    assert "Seq Scan on g became #2 Index Scan using i on g" in text
    assert "It has had 2 plans" in text
    marks = [one.value["mark"].tolist() for one in app.dataframe if "mark" in one.value]
    assert marks == [["only here", "changed"], ["only here", "changed"]]
    button(app, "Put it away").click().run()
    assert "against" not in app.query_params
    choice = next(one for one in app.selectbox if one.label == "Put beside the plan above")
    choice.set_value(old).run()
    assert app.query_params["against"] == old


def test_what_a_plan_holds_is_never_markup(demo, open_app):
    hostile = {**SCAN, "Relation Name": HOSTILE, "Alias": HOSTILE, "Filter": f"(name = '{HOSTILE}')"}
    more = {"Actual Rows": 10, "Actual Loops": 1, "Actual Total Time": 5.0, "Rows Removed by Filter": 500_000}
    keep(demo, "fd" * 8, {**hostile, **more})
    app = open_app("plan", statement="fd" * 8)
    assert not app.exception
    assert not app.error
    spoken = "\n".join(str(one.value) for kind in ("markdown", "caption", "info", "title") for one in app.get(kind))
    assert "removed 500,000" in spoken.replace("\\", "")
    assert not re.search(r"(?<!\\)(<b|\[a|\]|:red|\$|`)", spoken.replace(":material/", ""))
    figure = json.dumps(icicle(plan_tree({"Plan": hostile})).to_plotly_json(), default=list)
    assert "<b onclick" not in figure
    assert "&lt;b onclick" in figure


def test_a_timeout_and_a_table_that_is_gone_are_said_and_the_kept_plan_stays(demo, open_app, texts, monkeypatch):
    from dashboard.plans import subject
    from queries.errors import MappingError, StatementTimeoutError

    fingerprint, call = ran(demo, tenants.plans(ALL))
    for error in (StatementTimeoutError("it ran longer than 20 s; choose less"), MappingError("no table g; migrate")):
        app = open_app("plan", statement=fingerprint, call=call)

        def fails(*_given: Any, failure: Any = error, **_named: Any) -> Any:
            raise failure

        with monkeypatch.context() as patched:
            patched.setattr(subject.current().runner, "explain", fails)
            button(app, "Run and measure").click().run()
        assert not app.exception
        assert error.reference in "".join(one.value for one in app.error)
        assert "Where the cost goes" in [one.value for one in app.header]


def test_a_viewer_of_some_tenants_is_not_shown_the_plan_of_others(demo, open_app, monkeypatch, texts):
    """Engineers read all tenants today; the page does not count on it."""
    fingerprint, call = ran(demo, tenants.plans(ALL))
    kept_by(demo, fingerprint)
    monkeypatch.setattr(viewer, "viewer_scope", lambda _services, _who: Scope.of(["nobody"]))
    app = open_app("plan", role="engineer", statement=fingerprint, call=call)
    button(app, "Run and measure").click().run()
    assert not app.exception
    assert "no such tenant" in said(texts, app).lower()


def test_the_same_number_of_statements_whatever_was_kept(demo, open_app, monkeypatch):
    from queries.database import Database

    readings = []
    true = Database.reading
    monkeypatch.setattr(Database, "reading", lambda self, *given: readings.append(1) or true(self, *given))
    counts = []
    for number in (1, 15):
        for at in range(number):
            keep(demo, f"{number:016x}", printed("Sort", {**SCAN, "Alias": f"g{at}"}))
        demo.plan_keeper.stop()
        readings.clear()
        open_app("plan", statement=f"{number:016x}")
        counts.append(len(readings))
    assert counts[0] == counts[1] <= 4


# ---- what is drawn, without a page


def test_an_icicle_is_as_wide_as_its_parts():
    tree = plan_tree({"Plan": printed("Sort", SCAN)})
    (drawn,) = icicle(tree).data
    assert drawn.type == "icicle"
    assert list(drawn["values"]) == own_parts(tree) == [10, 90]
    assert list(drawn.parents) == ["", "1"]
    assert "90.0 %" in drawn.labels[1]
    nothing = plan_tree({"Plan": printed("Sort", {"Node Type": "Result"}, cost=0)})
    assert list(icicle(nothing).data[0]["values"]) == [1, 1]


def test_small_nodes_are_left_out_but_not_those_of_a_warning():
    small = printed("Sort", {**SCAN, "Total Cost": 0.1}, cost=0.5)
    tree = plan_tree({"Plan": printed("Append", small, {**SCAN, "Total Cost": 95.0})})
    assert [one.number for one in of_weight(tree)] == [1, 4]
    assert [one.number for one in of_weight(tree, {3})] == [1, 2, 3, 4]


def test_lines_of_a_plan_say_share_and_rows():
    lines = plan_lines(plan_tree({"Plan": printed("Sort", SCAN)})).splitlines()
    assert lines == ["own part of cost 100", "  10.0 %  Sort (10 rows)", "  90.0 %    Seq Scan on g (10 rows)"]


def test_two_plans_of_one_shape_have_no_difference():
    tree = plan_tree({"Plan": printed("Sort", SCAN)})
    other = plan_tree({"Plan": printed("Sort", {**SCAN, "Filter": "(a = 7)", "Total Cost": 1.0})})
    found = compared(tree, other)
    assert found.before == found.after == ("same", "same")
    assert found.sentences == ()


def test_what_came_went_and_changed_is_told_apart():
    joined = printed("Hash Join", SCAN, {**SCAN, "Relation Name": "h", "Alias": "h"}, **{"Join Type": "Left"})
    looped = printed("Nested Loop", INDEX, printed("Materialize", {**SCAN, "Relation Name": "h", "Alias": "h"}))
    found = compared(plan_tree({"Plan": joined}), plan_tree({"Plan": looped}))
    assert found.before == ("changed", "changed", "same")
    assert found.after == ("changed", "changed", "only here", "same")
    assert found.sentences[-1] == "New: #3 Materialize"
