"""A runner on the test's own database, as the server builds it."""

from collections.abc import Iterator
from typing import Any

import pytest

from dashboard import services
from queries.settings import Settings
from tests.queries.asking import MakeServices


@pytest.fixture
def make_services(reader_url: str, owner_url: str) -> Iterator[MakeServices]:
    """Services on the test's own database; keyword arguments are settings. `direct_url=None` leaves the wall away."""
    made: list[services.Services] = []

    def make(**overrides: Any) -> services.Services:
        chosen: dict[str, Any] = {"database_url": reader_url, "direct_url": owner_url, "pool_size": 4, **overrides}
        made.append(services.build(Settings(**chosen), is_demo=True))
        return made[-1]

    yield make
    for one in made:
        one.close()
