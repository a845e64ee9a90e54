"""What a mapping leaves out and what that switches off, in sentences for the pages."""

from __future__ import annotations

from collections.abc import Iterator

from queries.mapping.model import Mapping

_TABLES = {
    "user": "No table of users is mapped: people appear by their ids.",
    "membership": "No table of memberships is mapped: roles of people stay empty.",
    "subscription": "No table of subscriptions is mapped: plans, renewal dates and pacing are left out.",
    "credit_balance": "No table of balances is mapped: balances, runways and their reconciliation are left out.",
    "usage_limit": "No table of usage limits is mapped: quotas and limit-hit days are left out.",
    "image": "No table of images is mapped: the gallery and counts of images are left out.",
}
_NO_LEDGER = "No ledger of credits is mapped: burn from the ledger, credit movements and statements stay empty."
_DERIVED_LEDGER = (
    "The ledger of credits is derived from generations: no purchases, grants or refunds are known, so statements hold"
    " burned credits only."
)
# Columns without which a page says less than one would think; the others are only listed.
_COLUMNS = {
    ("generation", "status"): (
        "Generations have no status: all count as succeeded, so success rates and failures say nothing."
    ),
    ("generation", "duration_ms"): "Generations have no duration: latencies are left out.",
    ("generation", "credits_used"): "Generations have no credits: what they used is known from the ledger only.",
    ("generation", "user_id"): "Generations have no user: usage by people and active users are left out.",
    ("generation", "type"): "Generations have no type: splits by type hold one nameless part.",
    ("generation", "model"): "Generations have no model: splits by model hold one nameless part.",
    ("organization", "name"): "Tenants have no name: they appear by their ids.",
    ("user", "name"): "Users have no name: they appear by their addresses, or by their ids.",
    ("credit_transaction", "type"): "Credit movements have no type: none counts as burned, granted or refunded.",
    ("credit_transaction", "amount"): "Credit movements have no amount: the ledger sums to nothing.",
    ("credit_transaction", "created_at"): "Credit movements have no time: none lies in any period.",
    ("credit_transaction", "price_paid"): "Credit movements have no price: money is left out of statements.",
    ("credit_balance", "balance"): "Balances have no amount: runways and reconciliation are left out.",
    ("subscription", "plan"): "Subscriptions have no plan: tenants cannot be told apart by plan.",
    ("subscription", "status"): "Subscriptions have no status: none counts as renewing.",
    ("subscription", "period_end"): "Subscriptions have no end of their period: renewals and pacing are left out.",
    ("subscription", "period_start"): "Subscriptions have no start of their period: pacing is left out.",
    ("usage_limit", "date"): "Usage limits have no date: quotas by day are left out.",
    ("usage_limit", "limit"): "Usage limits have no limit: nobody is found to reach one.",
}


def notes_of(mapping: Mapping) -> list[str]:
    """The sentences, in the order of the tables; what is only empty comes last."""
    found = [sentence for logical in mapping.tables for sentence in _of_table(mapping, logical)]
    empty = [
        f"{logical}.{column}"
        for logical, one in mapping.tables.items()
        if not one.missing
        for column in one.columns
        if mapping.lacks(logical, column) and (logical, column) not in _COLUMNS
    ]
    if empty:
        found.append(f"Not mapped, and empty wherever shown: {', '.join(empty)}.")
    return found


def _of_table(mapping: Mapping, logical: str) -> Iterator[str]:
    one = mapping.tables[logical]
    if one.missing and logical == "credit_transaction":
        yield _DERIVED_LEDGER if mapping.derives_ledger else _NO_LEDGER
    elif one.missing:
        yield _TABLES[logical]
    else:
        yield from (_COLUMNS[logical, column] for column in one.columns if _is_told(mapping, logical, column))
    if one.note:
        yield f"{_sentence(one.note)} (The mapping's note on {logical}.)"


def _is_told(mapping: Mapping, logical: str, column: str) -> bool:
    return mapping.lacks(logical, column) and (logical, column) in _COLUMNS


def _sentence(note: str) -> str:
    text = " ".join(note.split())
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', '!', '?')) else '.'}"
