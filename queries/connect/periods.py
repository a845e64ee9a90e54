"""Whether the times of subscriptions are those of the billing period that runs now: a contract's own, such as one of
years ago, would make pacing and flags wrong without a word."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from queries.connect.found import Draft, of_sample
from queries.connect.ground import Ground
from queries.connect.shape import text_literal

_MEANS = {
    "period_start": "must be when the billing period that runs now began",
    "period_end": "must be when the billing period that runs now ends",
}
_LONGEST = "interval '400 days'"


def explain_periods(ground: Ground, draft: Draft, renewing: Iterable[str], as_of: str) -> None:
    """Says what the two columns must hold, and warns where most values cannot be it. `as_of` is the present as SQL; of
    an older copy, the time of its newest rows."""
    for column, means in _MEANS.items():
        if (found := draft.columns.get(column)) is not None:
            draft.columns[column] = replace(found, reason=f"{found.reason}; {means}")
    wrong = _wrong(ground, draft, tuple(renewing), as_of)
    if not wrong:
        return
    there = [one for one in _MEANS if one in draft.columns]
    for column in there:
        draft.columns[column] = replace(draft.columns[column], confidence="low")
    theirs = {one: found.shown[1] for one, found in draft.columns.items() if found.shown is not None}
    named = " and ".join(f'{one} ("{theirs[one]}")' if one in theirs else one for one in there)
    unmapped = " and ".join(f'{one} = ""' for one in there)
    draft.notes.append(
        f"{named} of {draft.relation.label} cannot be those of the billing period that runs now: most"
        f" {wrong}, so pacing, renewals and flags would be wrong; answer [columns.subscription] {unmapped}, or"
        " compute them in a SELECT (docs/connect.md)"
    )


def _wrong(ground: Ground, draft: Draft, renewing: tuple[str, ...], as_of: str) -> str:
    """What most of those that renew have; empty where they are well, or nobody knows."""
    start, end = (of_sample(found.sql) if (found := draft.columns.get(one)) else "NULL::timestamptz" for one in _MEANS)
    if start == end:
        return ""
    tenant, status = draft.columns["tenant_id"], draft.columns.get("status")
    # Where each period has a row of its own, one that runs now is enough for its tenant.
    each = f"DISTINCT {of_sample(tenant.sql)}" if tenant.column is not None else "*"
    conditions = {
        "all": "true",
        "running": f"{end} >= {as_of} OR ({end}) IS NULL",
        "begun long ago, without an end": f"({end}) IS NULL AND {start} < {as_of} - {_LONGEST}",
        "shorter than a day or longer than 400 days": f"{end} - {start} NOT BETWEEN interval '1 day' AND {_LONGEST}",
    }
    wanted = {name: f"count({each}) FILTER (WHERE {one})" for name, one in conditions.items()}
    listed = ", ".join(map(text_literal, renewing))
    where = f"({of_sample(status.sql)})::text IN ({listed})" if status is not None and listed else "true"
    facts = ground.peek.facts(draft.relation, wanted, where=where)
    least = 0.5 * (facts.get("all") or 0)
    if not facts or not least:
        return ""
    if facts["all"] - facts["running"] > least:
        return "have ended"
    return next((f"are {name}" for name in list(conditions)[2:] if facts[name] > least), "")
