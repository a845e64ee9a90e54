"""Index advice: for a workload of statements, what would make them faster, and what would not."""

from queries.performance.advice.advisor import advise
from queries.performance.advice.model import (
    SEVERITIES,
    TENANT_KINDS,
    Advice,
    Evidence,
    Severity,
    Statement,
    TenantKind,
    Verdict,
    as_json,
)

__all__ = [
    "SEVERITIES",
    "TENANT_KINDS",
    "Advice",
    "Evidence",
    "Severity",
    "Statement",
    "TenantKind",
    "Verdict",
    "advise",
    "as_json",
]
