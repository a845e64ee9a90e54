"""What the demo application refuses, and why.

    DemoError
    ├── InvalidRequest        an argument that no state of the database could satisfy
    ├── NotFound
    │   ├── OrganizationNotFound
    │   ├── UserNotFound
    │   └── GenerationNotFound
    ├── NotAMember            the user does not belong to the organization that would pay
    ├── CreditsExhausted      the balance is smaller than what is asked for
    ├── QuotaReached          the day's quota for this type is used up
    ├── AlreadyFinished       the generation has reached a terminal status before
    ├── NotDue                the subscription period has not ended
    └── AlreadyLoaded         a history is in the database already

Every message says the fact in lower case, then the fix.
"""

# ruff: noqa: N818  -- the names state the fact, as the product's documents do

from datetime import date, datetime


class DemoError(Exception):
    """Base of all refusals of the demo application; nothing was written when one is raised."""


class InvalidRequest(DemoError, ValueError):
    """An argument is outside what is accepted."""


class NotFound(DemoError, LookupError):
    """A row that was named does not exist."""


class OrganizationNotFound(NotFound):
    def __init__(self, organization_id: str) -> None:
        super().__init__(f"organization {organization_id!r} has no credit balance; check the id")


class UserNotFound(NotFound):
    def __init__(self, user_id: str) -> None:
        super().__init__(f"user {user_id!r} does not exist or is no member there; check the id")


class GenerationNotFound(NotFound):
    def __init__(self, generation_id: str) -> None:
        super().__init__(f"generation {generation_id!r} does not exist; check the id")


class NotAMember(DemoError):
    def __init__(self, user_id: str, organization_id: str) -> None:
        super().__init__(f"user {user_id!r} is no member of {organization_id!r}; add a membership first")


class CreditsExhausted(DemoError):
    def __init__(self, balance_credits: int, needed_credits: int) -> None:
        self.balance_credits = balance_credits
        self.needed_credits = needed_credits
        super().__init__(
            f"{balance_credits} credits left but {needed_credits} needed; buy a top-up or wait for the renewal"
        )


class QuotaReached(DemoError):
    def __init__(self, generation_type: str, day: date, limit: int) -> None:
        self.limit = limit
        super().__init__(
            f"the quota of {limit} {generation_type} generations on {day} (UTC) is used up; "
            "wait for the next day or raise the limit"
        )


class AlreadyFinished(DemoError):
    def __init__(self, generation_id: str, status: str) -> None:
        self.status = status
        super().__init__(f"generation {generation_id!r} is already {status}; finish each generation once")


class NotDue(DemoError):
    def __init__(self, organization_id: str, period_end: datetime | None) -> None:
        due = "without a running subscription" if period_end is None else f"paid until {period_end} UTC"
        super().__init__(f"organization {organization_id!r} is {due}; renew after its period has ended")


class AlreadyLoaded(DemoError):
    def __init__(self) -> None:
        super().__init__("a demo history is in this database already; call reset() before loading another")
