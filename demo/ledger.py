"""The credits between the charges: grants, top-ups, expiries, adjustments, so placed that no balance goes below zero.

Credits are whole numbers throughout; prices are exact decimals.
"""

import math
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Final

import numpy as np

from demo.activity import MS_PER_DAY, IntArray
from demo.tenants import DRY_SINCE_DAYS, NEGATIVE_CREDITS, NEGATIVE_SINCE_DAYS, Persona
from demo.traffic import MS_PER_HOUR

PACK_PRICES: Final[dict[int, Decimal]] = {
    100: Decimal("3.00"),
    250: Decimal("7.00"),
    500: Decimal("12.50"),
    1_000: Decimal("23.00"),
    2_500: Decimal("54.00"),
    5_000: Decimal("99.00"),
    10_000: Decimal("185.00"),
    25_000: Decimal("435.00"),
    50_000: Decimal("799.00"),
    100_000: Decimal("1499.00"),
}
MAX_TOP_UP_LEAD_MS: Final = 30 * 60_000
MONTHS_PER_YEAR: Final = 12


@dataclass(frozen=True, slots=True)
class Posting:
    """A ledger row that belongs to no generation."""

    posted_ms: int
    type: str
    amount: int
    description: str
    price: Decimal | None = None


@dataclass(slots=True)
class Account:
    """One tenant's balance over a window, given the movements of its generations in time order.

    `balances[i]` is the balance after movement i and everything posted before it.
    """

    persona: Persona
    allowance: int
    start_ms: int
    opening: int
    times_ms: IntArray
    amounts: IntArray
    postings: list[Posting] = field(default_factory=list)
    balances: IntArray = field(init=False)

    def __post_init__(self) -> None:
        self.balances = self.opening + np.cumsum(self.amounts)

    def post(self, posting: Posting, first: int | None = None) -> None:
        """Enter a posting; it counts for the movements from `first`, or from its own time on."""
        if first is None:
            first = int(np.searchsorted(self.times_ms, posting.posted_ms))
        self.balances[first:] += posting.amount
        self.postings.append(posting)

    @property
    def closing(self) -> int:
        return int(self.opening + self.amounts.sum() + sum(posting.amount for posting in self.postings))

    def balance_before(self, moment_ms: int) -> int:
        """Balance just before a moment, with everything that was posted earlier or at that moment."""
        moved = int(self.amounts[: np.searchsorted(self.times_ms, moment_ms)].sum())
        return self.opening + moved + sum(entry.amount for entry in self.postings if entry.posted_ms <= moment_ms)


def settle(account: Account, renewals_ms: list[int], rng: np.random.Generator) -> None:
    """Post grants at the renewals, expiries of what is hoarded, and a top-up wherever credits would run short."""
    settled = 0
    for renewal_ms in renewals_ms:
        until = int(np.searchsorted(account.times_ms, renewal_ms))
        _top_up(account, settled, until, rng)
        hoarded = account.balance_before(renewal_ms) - 2 * account.allowance
        if hoarded > 0:
            account.post(Posting(renewal_ms, "EXPIRY", -hoarded, "credits beyond two periods expire"))
        account.post(Posting(renewal_ms, "GRANT", account.allowance, "monthly credits"))
        settled = until
    _top_up(account, settled, len(account.times_ms), rng)


def open_account(account: Account, rng: np.random.Generator) -> None:
    """What a balance starts with, and corrections for some."""
    opening = int(account.allowance * rng.uniform(0.4, 0.9))
    joined = account.persona.story == "new"
    words = "welcome credits" if joined else "balance brought forward"
    account.post(Posting(account.start_ms, "GRANT" if joined else "ADJUSTMENT", opening, words), first=0)


def correct_account(account: Account, renewals_ms: list[int], end_ms: int, rng: np.random.Generator) -> None:
    """Goodwill for some tenants; for others a grant entered twice and taken back an hour later."""
    chance = rng.random()
    latest_ms = end_ms - 6 * MS_PER_DAY
    if chance < 0.35:
        moment = int(rng.integers(account.start_ms, latest_ms))
        account.post(Posting(moment, "ADJUSTMENT", max(5, account.allowance // 40), "goodwill for a slow week"))
    elif chance < 0.5:
        for renewal_ms in [moment for moment in renewals_ms if moment < latest_ms][-1:]:
            taken_back_ms = renewal_ms + MS_PER_HOUR
            account.post(Posting(renewal_ms + 1, "ADJUSTMENT", account.allowance, "grant entered twice"))
            account.post(Posting(taken_back_ms, "ADJUSTMENT", -account.allowance, "second grant taken back"))


def end_account(account: Account, end_ms: int) -> None:
    """The last posting of the tenants whose story ends with one; they are silent since then."""
    if account.persona.story == "negative":
        moment = end_ms - NEGATIVE_SINCE_DAYS * MS_PER_DAY + 3 * MS_PER_HOUR
        words = "chargeback of a disputed payment"
        account.post(Posting(moment, "ADJUSTMENT", NEGATIVE_CREDITS - account.closing, words))
    if account.persona.story == "dry":
        moment = end_ms - DRY_SINCE_DAYS * MS_PER_DAY + 3 * MS_PER_HOUR
        account.post(Posting(moment, "EXPIRY", -account.closing, "trial credits expired"))


def monthly_allowance(persona: Persona, burned_credits: int, days: float) -> int:
    """Credits per period: a round number near what a month burns, less for those who live on top-ups."""
    cover = {"low": 0.6, "growth": 0.8, "decline": 1.3}.get(persona.story, 1.5 if persona.plan == "FREE" else 1.05)
    return max(50, round_credits(burned_credits / days * 30 * cover))


def round_credits(credits: float) -> int:
    """Two leading digits, so that it looks like something on a price list."""
    step: int = 10 ** max(1, len(str(int(credits))) - 2)
    return math.ceil(credits / step) * step


def add_months(moment: datetime, months: int) -> datetime:
    """The same day and time of another month; callers keep to days up to the 28th."""
    index = moment.year * MONTHS_PER_YEAR + moment.month - 1 + months
    return moment.replace(year=index // MONTHS_PER_YEAR, month=index % MONTHS_PER_YEAR + 1)


def _top_up(account: Account, first: int, last: int, rng: np.random.Generator) -> None:
    """Top-ups just before each of the movements `[first, last)` that would leave less than a small reserve."""
    reserve = account.allowance // 50
    while True:
        short = np.flatnonzero(account.balances[first:last] < reserve)
        if not len(short):
            return
        at = first + int(short[0])
        missing = reserve - int(account.balances[at])
        lead_ms = int(rng.integers(1, MAX_TOP_UP_LEAD_MS))
        moment = max(account.start_ms, int(account.times_ms[at]) - lead_ms)
        account.post(_bought(account.persona, moment, max(missing, account.allowance // 8)), first=at)


def _bought(persona: Persona, moment_ms: int, credits: int) -> Posting:
    pack = next((size for size in PACK_PRICES if size >= credits), max(PACK_PRICES))
    if persona.plan == "FREE":
        return Posting(moment_ms, "GRANT", pack, "goodwill credits")
    return Posting(moment_ms, "PURCHASE", pack, f"top-up of {pack} credits", PACK_PRICES[pack])
