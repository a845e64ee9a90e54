"""What the Statements page says."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from dashboard import words
from dashboard.statements.choices import named
from queries.catalog.rollforward import CLOSED
from queries.period import local_date

Row = Mapping[str, Any]
DERIVED = (
    "The ledger is derived from generations: no purchases, grants or refunds are known. What balances gained or lost"
    " besides what was burned stands as unexplained."
)
_ADDED = (("purchased", "purchased"), ("granted", "granted"), ("refunded", "refunded"))
_TAKEN = (("burned", "burned"), ("expired", "expired"))


def credits(amount: Any) -> str:
    """ "1 credit", "250 credits"."""
    return f"{words.exact(amount)} credit{'' if amount == 1 else 's'}"


def unexplained(rows: Sequence[Row], name: str) -> str:
    """Of which months and how many tenants something is unexplained; empty when nothing is. `rows` are those of
    `statements.totals` of the months that are shown."""
    off = [one for one in rows if one["differing_tenants"]]
    if not off:
        return ""
    parts = [
        f"{credits(one['differing_credits'])} of {words.counted(one['differing_tenants'], 'tenant')}"
        f"{'' if len(rows) == 1 else ' in ' + named(one['month'])}"
        for one in off
    ]
    where = f" in {name}" if len(rows) == 1 else ""
    is_one = len(off) == 1 and off[0]["differing_credits"] == 1
    return f"{', '.join(parts)} {'is' if is_one else 'are'} unexplained{where}: balance and ledger differ."


def added_up(row: Row) -> str:
    """One row as a sum: "1,714 opening + 3,300 granted − 2,374 burned + 250 unexplained = 2,928 closing"."""
    parts = [f"{words.exact(row['opening'])} opening"]
    parts += [f"+ {words.exact(row[name])} {said}" for name, said in _ADDED if row[name]]
    parts += [_signed(row["adjusted"], "adjusted")] if row["adjusted"] else []
    parts += [f"{words.MINUS} {words.exact(row[name])} {said}" for name, said in _TAKEN if row[name]]
    parts += [_signed(row["unexplained"], "unexplained")] if row["unexplained"] else []
    return f"{' '.join(parts)} = {words.exact(row['closing'])} closing"


def _signed(amount: Any, said: str) -> str:
    return f"{words.MINUS if amount < 0 else '+'} {words.exact(abs(amount))} {said}"


def standing(row: Row) -> str:
    """How balance and ledger stand to each other now."""
    ledger = f"all movements of the ledger add up to {words.exact(row['ledger_credits'])}"
    if row["credits_left"] is None:
        return f"There is no balance for this tenant; {ledger}."
    off = row["difference_credits"]
    if not off:
        return f"Now they agree: the balance is {words.exact(row['credits_left'])}, and {ledger}."
    more = f"{words.exact(abs(off))} {'more' if off > 0 else 'fewer'}"
    return f"Now the balance is {words.exact(row['credits_left'])} and {ledger}: {more} than the ledger explains."


def fitting(row: Row, month: date) -> str:
    """Whether the generations of the month and their movements fit together."""
    checked, wrong = row["checked_generations"], row["suspects"]
    of_month = f"of {named(month)}"
    if wrong:
        explained = words.exact(row["suspect_credits"])
        return (
            f"{words.counted(checked, 'generation')} {of_month} checked:"
            f" {words.counted(wrong, 'finding')} where charge and generation do not fit together. If the balance is"
            f" right, {explained} credits of the difference come from there:"
        )
    if not checked:
        return f"There is no generation {of_month}, and no charge without one."
    return (
        f"{words.counted(checked, 'generation')} {of_month}: each has one charge with its credits, each that failed got"
        " them back, and no charge is without a generation."
    )


def unknown(row: Row) -> str:
    """Movements of a type that no kind maps to; empty without any."""
    if not row["unknown_movements"]:
        return ""
    return (
        f"{words.counted(row['unknown_movements'], 'movement')} ({credits(row['unknown_credits'])}) of a type that the"
        " mapping does not know: unexplained. Map it under transaction_type in MAPPING_FILE."
    )


def seen(rows: Sequence[Row], zone: str) -> str:
    """When the difference came, as far as balances were written down: the rows of `statements.balances_seen`."""
    if not rows:
        return "No balance was written down in this month, so when it changed is not known."
    known = [one for one in rows if one["difference_credits"] is not None]
    since = words.utc(rows[0]["known_since"])
    began = f"Balances are known since {words.moment(since, zone)}" if since is not None else "Balances are known"
    for before, after in itertools.pairwise(known):
        if before["difference_credits"] != after["difference_credits"]:
            return (
                f"{began}. The difference went from {words.exact(before['difference_credits'])} to"
                f" {words.exact(after['difference_credits'])} between {_at(before['taken_at'], zone)} and"
                f" {_at(after['taken_at'], zone)}."
            )
    if not known:
        return f"{began}; there was none for this tenant in this month."
    first, last = known[0], known[-1]
    off = words.exact(first["difference_credits"])
    if first is last:
        return f"{began}. On {_at(first['taken_at'], zone)} the difference was {off}."
    return f"{began}. From {_at(first['taken_at'], zone)} to {_at(last['taken_at'], zone)} the difference was {off}."


def conclusion(own: Row, row: Row, zone: str) -> str:
    """What the difference comes to when no row explains it, and what to do."""
    off = own["unexplained"]
    left = off - row["suspect_credits"] - row["unknown_credits"]
    if not off or not left:
        return ""
    changed = words.utc(row["balance_changed_at"])
    when = f" The balance row was last written on {words.moment(changed, zone)}." if changed is not None else ""
    way = "into the balance" if left > 0 else "out of the balance"
    return (
        f"So {credits(abs(left))} came {way} without a movement in the ledger.{when} Ask the application's team who"
        f" changed it; an adjustment of {words.exact(left)} in the ledger, posted with today's date, would settle it."
        " Today's month then shows it as adjusted and, with the opposite sign, as unexplained, which cancels; with an"
        " old date these two would stand in different months."
    )


def differs(row: Row, zone: str) -> str:
    """That the ledger says something else of a closed month now, and which month has it: a row of
    `statements.corrections`."""
    closed = words.utc(row["closed_at"])
    on = f" (closed {words.moment(closed, zone)})" if closed is not None else ""
    taker = named(row["counted_in"])
    then = f"{taker} took it, and is closed too" if row["counted_status"] == CLOSED else f"It is counted in {taker}"
    return f"The ledger up to the end of {named(row['month'])} differs from the closed month{on}. {then}."


def reckoned_now(closed: Sequence[date]) -> str:
    """That prices of closed months are not frozen."""
    months = ", ".join(named(one) for one in closed)
    verb = "is" if len(closed) == 1 else "are"
    return (
        f"{months} {verb} closed: the credits are as they were frozen, but their worth is reckoned now, from the prices"
        " that the ledger has now, not as it was closed."
    )


def taken_off(rows: Sequence[Row]) -> str:
    """What the month before the first closed one takes off: the rows of `statements.taken_off`; empty without any."""
    if not rows:
        return ""
    first = rows[0]
    amounts = ", ".join(f"{credits(one['credits'])} {one['kind']}" for one in rows)
    then = f"in {named(first['counted_in'])}" if first["counted_in"] is not None else "in later months"
    return (
        f"{amounts}: posted into {named(first['month'])} or before, after {named(first['closed_month'])} was closed."
        f" They show in the month of their date and count {then}; {named(first['month'])} takes them off again, so that"
        " it ends with what the closed month opened with."
    )


def known_since(since: datetime | None, zone: str) -> str:
    """From when on opening and closing balances are observed."""
    if since is None:
        return (
            "No balance has been written down yet: opening and closing are reckoned from the ledger, and only the"
            " difference of now is known."
        )
    return (
        f"Balances are written down every day since {words.day(local_date(since, zone))}; before that, opening and"
        " closing are reckoned from the ledger alone."
    )


def _at(taken_at: Any, zone: str) -> str:
    instant = words.utc(taken_at)
    return words.moment(instant, zone) if instant is not None else "an unknown time"
