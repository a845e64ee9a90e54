"""Assertions of the recount say what differs, as those of tests do."""

import pytest

pytest.register_assert_rewrite("tests.queries.connect.recount")
