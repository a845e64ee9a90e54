"""Statistics of a real image-generation trace, as numbers; the made-up history is drawn to match them.

Source: GenTD26, published in the repository alibaba/clusterdata (folder cluster-trace-v2026-GenAI): 26,804 distinct
requests of 4,247 customer groups over 24 days. Only these aggregates are kept here, never rows of it.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

# Share of a day's requests per local hour, in thousandths. The trace's clock is shifted for privacy: its quiet hours
# are centred on 12:00, so hour h here is its hour h + 8; the midday dip then falls on the lunch break.
HOUR_SHARES: Final[FloatArray] = np.array(
    [
        4.6,
        1.7,
        1.3,
        0.1,
        0.0,
        0.1,
        0.1,
        1.5,
        23.9,
        87.3,
        103.5,
        23.3,
        40.8,
        124.0,
        123.8,
        131.7,
        142.4,
        40.8,
        43.6,
        45.2,
        24.9,
        13.4,
        12.6,
        9.4,
    ]
)

# Requests of a Saturday and a Sunday against the mean working day.
SATURDAY_SHARE: Final = 0.21
SUNDAY_SHARE: Final = 0.50

# Tenant volume falls with rank ** -0.757 over the 64 busiest groups (log-log fit).
TENANT_SKEW: Final = 0.757

SUCCESS_RATE: Final = 0.985

# Seconds from request to picture of successful requests: p50 23, p95 70, p99 106, max 567.
LATENCY_SHARES: Final[FloatArray] = np.array(
    [0, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975, 0.99, 0.995, 0.999, 1.0]
)
LATENCY_S: Final[FloatArray] = np.array([3, 8, 11, 13, 16, 18, 20, 23, 26, 30, 38, 53, 70, 86, 106, 119, 160, 567.0])

# Seconds until a failed request gave up: half of them do so within 8 s.
FAILURE_SHARES: Final[FloatArray] = np.array([0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0])
FAILURE_S: Final[FloatArray] = np.array([1, 2, 4, 8, 23, 37, 84.0])


def latency_ms(uniform: FloatArray) -> FloatArray:
    """Milliseconds of successful generations for uniform numbers in [0, 1), by the inverse distribution."""
    return np.interp(uniform, LATENCY_SHARES, LATENCY_S) * 1000


def failure_ms(uniform: FloatArray) -> FloatArray:
    """Milliseconds until failure for uniform numbers in [0, 1)."""
    return np.interp(uniform, FAILURE_SHARES, FAILURE_S) * 1000
