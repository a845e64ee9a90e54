"""The Tenant page, a room for each of its views; `arrival` says which tenant it is of."""

from dashboard.account.arrival import another, chosen_tenant, not_found
from dashboard.account.tabs import open_view

__all__ = ["another", "chosen_tenant", "not_found", "open_view"]
