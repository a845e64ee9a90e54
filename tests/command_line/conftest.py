"""A data folder that a first start has filled, for the tests of starting and stopping."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="usage-dashboard-run-") as folder:
        yield Path(folder) / "data"
