"""The small lines of headline figures and tables."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dashboard import words


def sparkline(values: Iterable[Any]) -> list[float]:
    """Values for `st.metric(chart_data=...)`: a missing one is drawn as 0 because a metric cannot draw a gap."""
    return [float(words.known(one) or 0) for one in values]
